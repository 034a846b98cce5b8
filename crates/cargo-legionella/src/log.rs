//! What the programs of this package log to standard error when asked by `LEGIONELLA_LOG`.

use std::str::FromStr;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

/// Logs what the directives in `LEGIONELLA_LOG` say, such as `info` or `legionella_driver=debug`.
/// Anything else there is the application's to complain about.
pub fn start() {
    let directives = std::env::var("LEGIONELLA_LOG").unwrap_or_default();
    let Ok(targets) = Targets::from_str(&directives) else {
        return;
    };
    if directives.is_empty() {
        return;
    }
    let format = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let subscriber = tracing_subscriber::registry().with(targets).with(format);
    // Nothing else in these programs sets one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
