//! What was found, and how it reads.

use std::fmt;

use serde::Serialize;

/// Everything that was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Whether programs can be built and run on the CPU.
    pub ready: bool,
    /// In the order in which they were looked at.
    pub findings: Vec<Finding>,
}

/// One thing that was looked for.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// The group that it is listed in.
    pub part: &'static str,
    /// What was looked for.
    pub what: String,
    /// What became of it.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// What became of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There, and works.
    Good,
    /// As it is; nothing depends on it.
    Note,
    /// Missing or broken, and something that is optional does not work.
    Warning,
    /// Missing or broken, and nothing can be built or run without it.
    Missing,
}

impl State {
    /// In JSON.
    pub fn name(self) -> &'static str {
        match self {
            State::Good => "good",
            State::Note => "note",
            State::Warning => "warning",
            State::Missing => "missing",
        }
    }

    fn mark(self) -> &'static str {
        match self {
            State::Good => "ok     ",
            State::Note => "-      ",
            State::Warning => "note   ",
            State::Missing => "MISSING",
        }
    }
}

impl Report {
    /// Adds a finding.
    pub fn add(
        &mut self,
        part: &'static str,
        what: impl Into<String>,
        state: State,
        found: impl Into<String>,
    ) -> &mut Finding {
        self.findings.push(Finding {
            part,
            what: what.into(),
            state,
            found: found.into(),
            advice: None,
        });
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    /// Decides whether all that is needed is there.
    pub fn conclude(&mut self) {
        self.ready = !(self.findings.iter()).any(|finding| finding.state == State::Missing);
    }
}

impl Finding {
    /// Says what to do.
    pub fn advise(&mut self, advice: impl Into<String>) {
        self.advice = Some(advice.into());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut part = "";
        for finding in &self.findings {
            if finding.part != part {
                if !part.is_empty() {
                    writeln!(f)?;
                }
                part = finding.part;
                writeln!(f, "{part}")?;
            }
            let indented = finding.found.replace('\n', "\n            ");
            writeln!(f, "  {} {}: {indented}", finding.state.mark(), finding.what)?;
            if let Some(advice) = &finding.advice {
                writeln!(f, "          > {}", advice.replace('\n', "\n            "))?;
            }
        }
        writeln!(f)?;
        if self.ready {
            return writeln!(f, "Programs can be built and run on the CPU here.");
        }
        let missing = self
            .findings
            .iter()
            .filter(|finding| finding.state == State::Missing);
        let names: Vec<&str> = missing.map(|finding| finding.what.as_str()).collect();
        writeln!(
            f,
            "Programs can't be built and run here yet, for want of: {}.",
            names.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missing_thing_decides() {
        let mut report = Report::default();
        report.add("A", "x", State::Good, "there");
        report.add("A", "y", State::Warning, "not there");
        report.conclude();
        assert!(report.ready && report.to_string().contains("on the CPU here."));
        report
            .add("B", "z", State::Missing, "nowhere")
            .advise("get it");
        report.conclude();
        let text = report.to_string();
        assert!(!report.ready && text.contains("for want of: z."), "{text}");
        assert!(text.contains("\n          > get it\n"), "{text}");
    }
}
