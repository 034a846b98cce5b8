//! Logging to standard error when the user asks for it by `LEGIONELLA_LOG`.
//!
//! The value is a list of directives as in `info` or `legionella=debug,legionella::code=trace`.
//! An application that has a `tracing` subscriber of its own keeps it.

use std::io;
use std::str::FromStr;
use std::sync::OnceLock;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

use super::Error;

/// Starts logging if `LEGIONELLA_LOG` is set. Only the first call does anything.
///
/// # Errors
/// [`Error::Setting`] if its value is not a list of directives.
pub fn initialise() -> Result<(), Error> {
    static RESULT: OnceLock<Result<(), Error>> = OnceLock::new();
    RESULT
        .get_or_init(|| match std::env::var("LEGIONELLA_LOG") {
            Ok(directives) if !directives.is_empty() => start(&directives),
            _ => Ok(()),
        })
        .clone()
}

fn start(directives: &str) -> Result<(), Error> {
    let targets = Targets::from_str(directives).map_err(|_| Error::Setting {
        variable: "LEGIONELLA_LOG",
        value: directives.to_owned(),
        expected: "a level (`error`, `warn`, `info`, `debug`, `trace`) or a list such as \
                   `legionella=debug`",
    })?;
    let format = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false);
    let subscriber = tracing_subscriber::registry().with(targets).with(format);
    // An error means that the application has a subscriber, which then decides what is logged.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
