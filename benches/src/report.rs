//! What has been measured, as a table or as JSON.

/// One measurement beside its peer.
pub struct Row {
    /// What was measured.
    pub bench: String,
    /// The accelerator.
    pub target: String,
    /// Legionella's number.
    pub ours: f64,
    /// The peer's number, or the limit that the project has set itself.
    pub peer: f64,
    /// Unit of both; less is better in all of them.
    pub unit: &'static str,
}

impl Row {
    /// Above 1 if ours is better.
    pub fn ratio(&self) -> f64 {
        self.peer / self.ours
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        let Row {
            bench,
            target,
            ours,
            peer,
            unit,
        } = self;
        format!(
            "{{\"bench\":\"{bench}\",\"target\":\"{target}\",\"ours\":{ours:.4},\
             \"peer\":{peer:.4},\"unit\":\"{unit}\",\"ratio\":{:.3}}}",
            self.ratio()
        )
    }
}

/// Prints rows for people.
pub fn table(rows: &[Row]) {
    println!(
        "{:<28} {:<8} {:>10} {:>10} {:<5} {:>7}",
        "bench", "target", "ours", "peer", "unit", "ratio"
    );
    for row in rows {
        println!(
            "{:<28} {:<8} {:>10.3} {:>10.3} {:<5} {:>7.2}",
            row.bench,
            row.target,
            row.ours,
            row.peer,
            row.unit,
            row.ratio()
        );
    }
}
