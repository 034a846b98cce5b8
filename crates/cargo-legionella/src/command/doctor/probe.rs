//! Tries programs and libraries out in processes of their own.

use std::env;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use legionella_abi::frame;
use legionella_abi::protocol::Response;
use legionella_driver::llvm;

/// How long anything may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a program says on its standard output when it is run with arguments.
pub(super) fn output(program: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(args);
    let (status, output, errors) = answer_of(command)?;
    if !status.success() {
        return Err(failure(status, &errors));
    }
    Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
}

/// The version of the LLVM in a library, from a process that loads it.
pub(super) fn llvm_version(library: &Path) -> Result<String, String> {
    let this = env::current_exe().map_err(|error| format!("this program can't be run: {error}"))?;
    let mut command = Command::new(this);
    command
        .args(["legionella", "doctor", "--probe-llvm"])
        .arg(library);
    let (status, output, errors) = answer_of(command)?;
    if !status.success() {
        return Err(failure(status, &errors));
    }
    Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
}

/// The other side of [`llvm_version`].
pub(super) fn answer(library: &Path) -> anyhow::Result<ExitCode> {
    let (major, minor, patch) = llvm::load(library)?.version();
    println!("{major}.{minor}.{patch}");
    Ok(ExitCode::SUCCESS)
}

/// The LLVM that a driver loads, as it says itself when it starts.
pub(super) fn driver(driver: &Path, sysroot: Option<&Path>) -> Result<String, String> {
    let mut command = Command::new(driver);
    if let Some(sysroot) = sysroot {
        command.arg("--sysroot").arg(sysroot);
    }
    let (status, output, errors) = answer_of(command)?;
    let body = output
        .split_first_chunk::<{ frame::HEADER }>()
        .and_then(|(header, rest)| rest.get(..frame::body_len(*header)?));
    match body.map(frame::decode::<Response>) {
        Some(Ok(Response::Ready { version, llvm })) if version == legionella_abi::VERSION => {
            Ok(llvm)
        }
        Some(Ok(Response::Ready { version, .. })) => Err(format!(
            "it speaks version {version} of the protocol, and this program version {}",
            legionella_abi::VERSION
        )),
        Some(Ok(Response::Failed(reason))) => Err(reason),
        _ => Err(failure(status, &errors)),
    }
}

/// Runs a program without input and with limited patience; gives its status and what it said.
fn answer_of(mut command: Command) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("it can't be run: {error}"))?;
    let (send, receive) = mpsc::channel();
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    thread::spawn(move || {
        let errors = thread::spawn(move || {
            let mut bytes = Vec::new();
            errors.map(|mut errors| errors.read_to_end(&mut bytes));
            bytes
        });
        let mut bytes = Vec::new();
        output.map(|mut output| output.read_to_end(&mut bytes));
        // Nobody waits for it any more if it took too long.
        let _ = send.send((bytes, errors.join().unwrap_or_default()));
    });
    let answer = receive.recv_timeout(PATIENCE);
    if answer.is_err() {
        // It may have ended by itself in this instant.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let (output, errors) =
        answer.map_err(|_| format!("it gave no answer within {} s", PATIENCE.as_secs()))?;
    Ok((status, output, errors))
}

/// How a program failed, with the end of what it said.
fn failure(status: ExitStatus, errors: &[u8]) -> String {
    let errors = String::from_utf8_lossy(errors);
    let lines: Vec<&str> = errors
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(3)..].join("\n");
    if last.is_empty() {
        return format!("it failed ({status})");
    }
    format!("it failed ({status}): {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_and_absence_are_reported() {
        let shell = Path::new("/bin/sh");
        assert_eq!(output(shell, &["-c", "echo hello"]).unwrap(), "hello");
        let crash = output(shell, &["-c", "echo why >&2; kill -SEGV $$"]).unwrap_err();
        assert!(crash.contains("signal") && crash.contains("why"), "{crash}");
        assert!(
            output(Path::new("/no/such"), &[])
                .unwrap_err()
                .contains("can't be run")
        );
        assert!(
            driver(Path::new("/bin/false"), None)
                .unwrap_err()
                .contains("failed")
        );
    }
}
