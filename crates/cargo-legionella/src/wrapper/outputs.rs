//! The compiler's private output folder, and how its outputs get to where cargo wants them.
//!
//! With `-C save-temps` the compiler leaves folders with random names beside its outputs. It is
//! therefore given an output folder of its own, whose outputs are moved to the wanted folder: as
//! they are announced, since cargo starts dependent crates as soon as metadata is there, and the
//! rest at the end. This module moves files; it must not know what they are.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// An output folder of the compiler's own within the folder where outputs are wanted.
#[derive(Debug)]
pub(super) struct Outputs {
    /// Where cargo wants the outputs.
    wanted: PathBuf,
    /// Where the compiler writes them.
    private: PathBuf,
    /// Outputs that have been announced to be where they are wanted.
    announced: RefCell<BTreeSet<OsString>>,
}

impl Outputs {
    /// Makes the private folder `name` in `wanted`, empty.
    pub fn new(wanted: &Path, name: &str) -> anyhow::Result<Self> {
        let private = wanted.join(name);
        remove(&private)?;
        fs::create_dir_all(&private).with_context(|| format!("making {}", private.display()))?;
        Ok(Outputs {
            wanted: wanted.to_owned(),
            private,
            announced: RefCell::default(),
        })
    }

    /// The compiler's output folder.
    pub fn private(&self) -> &Path {
        &self.private
    }

    /// The arguments with the private folder in place of `--out-dir`.
    pub fn redirect(&self, args: &[OsString]) -> Vec<OsString> {
        let mut redirected = Vec::with_capacity(args.len() + 8);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--out-dir" {
                args.next();
            } else if arg.as_encoded_bytes().starts_with(b"--out-dir=") {
                continue;
            } else {
                redirected.push(arg.clone());
            }
        }
        redirected.push("--out-dir".into());
        redirected.push(self.private.clone().into());
        redirected
    }

    /// Passes the compiler's messages on. Outputs that they announce are put where they are wanted
    /// first, and announced to be there, once each however often the compiler runs.
    pub fn relay(&self, messages: impl BufRead, mut to: impl Write) -> anyhow::Result<()> {
        for message in messages.split(b'\n') {
            let message = message.context("reading the compiler's messages")?;
            let message = match self.announcement(&message) {
                Some(announcement) => match self.publish(announcement)? {
                    Some(announcement) => announcement,
                    None => continue,
                },
                None => message,
            };
            to.write_all(&message)?;
            to.write_all(b"\n")?;
            to.flush()?;
        }
        Ok(())
    }

    /// The announcement of an output in the private folder, if the message is one.
    fn announcement(&self, message: &[u8]) -> Option<serde_json::Value> {
        if !message.starts_with(b"{\"$message_type\":\"artifact\"") {
            return None;
        }
        let announcement: serde_json::Value = serde_json::from_slice(message).ok()?;
        let path = Path::new(announcement.get("artifact")?.as_str()?);
        (path.parent() == Some(&self.private)).then_some(announcement)
    }

    fn publish(&self, mut announcement: serde_json::Value) -> anyhow::Result<Option<Vec<u8>>> {
        let name = announcement["artifact"]
            .as_str()
            .and_then(|path| Path::new(path).file_name())
            .unwrap_or_default()
            .to_owned();
        let wanted = self.wanted.join(&name);
        // Cargo reads the list of sources when the compiler has ended; until then there may be
        // more to say in it.
        if !self.is_text(&name) {
            // The compiler may still read its own file, so that must stay as well.
            let link = self.private.join(format!("{}.announced", name.display()));
            fs::hard_link(self.private.join(&name), &link)
                .or_else(|_| fs::copy(self.private.join(&name), &link).map(drop))
                .and_then(|()| fs::rename(&link, &wanted))
                .with_context(|| format!("writing {}", wanted.display()))?;
        }
        if !self.announced.borrow_mut().insert(name) {
            return Ok(None);
        }
        announcement["artifact"] = wanted.to_string_lossy().into();
        Ok(Some(serde_json::to_vec(&announcement)?))
    }

    /// Moves all outputs to where they are wanted.
    pub fn finish(&self) -> anyhow::Result<()> {
        let context = || format!("reading {}", self.private.display());
        for entry in fs::read_dir(&self.private).with_context(context)? {
            let entry = entry.with_context(context)?;
            if !entry.file_type().with_context(context)?.is_file() {
                continue;
            }
            let name = entry.file_name();
            if self.is_text(&name) {
                self.write_text(&name)?;
                continue;
            }
            let wanted = self.wanted.join(&name);
            fs::rename(entry.path(), &wanted)
                .with_context(|| format!("writing {}", wanted.display()))?;
        }
        Ok(())
    }

    /// Whether an output speaks of where outputs are: the list of sources.
    fn is_text(&self, name: &OsStr) -> bool {
        Path::new(name).extension() == Some(OsStr::new("d"))
    }

    /// Writes a text to where it is wanted, with the private folder in it replaced.
    fn write_text(&self, name: &OsStr) -> anyhow::Result<()> {
        let from = self.private.join(name);
        let wanted = self.wanted.join(name);
        let text =
            fs::read_to_string(&from).with_context(|| format!("reading {}", from.display()))?;
        let private = self.private.to_string_lossy();
        let plain = self.wanted.to_string_lossy();
        let text = text
            .replace(&*private, &plain)
            .replace(&private.replace(' ', "\\ "), &plain.replace(' ', "\\ "));
        fs::write(&from, text)
            .and_then(|()| fs::rename(&from, &wanted))
            .with_context(|| format!("writing {}", wanted.display()))
    }

    /// Adds a line to every list of sources.
    pub fn add_to_sources(&self, line: &str) -> anyhow::Result<()> {
        self.edit_sources(|text| text.push_str(&format!("{line}\n")))
    }

    /// Adds a file to every list of sources, so that cargo builds again when it changes.
    pub fn add_source(&self, file: &Path) -> anyhow::Result<()> {
        let escaped = file.display().to_string().replace(' ', "\\ ");
        self.edit_sources(|text| {
            // Cargo reads the first rule alone: `OUTPUT: SOURCE SOURCE …`.
            if let Some(rule) = text.find(": ") {
                let end = text[rule..].find('\n').map_or(text.len(), |end| rule + end);
                text.insert_str(end, &format!(" {escaped}"));
            }
        })
    }

    fn edit_sources(&self, edit: impl Fn(&mut String)) -> anyhow::Result<()> {
        for entry in fs::read_dir(&self.private)?.flatten() {
            if self.is_text(&entry.file_name()) {
                let mut text = fs::read_to_string(entry.path())?;
                edit(&mut text);
                fs::write(entry.path(), text)?;
            }
        }
        Ok(())
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.private) {
            tracing::warn!("{error:#}");
        }
    }
}

/// Removes a folder if it is there.
pub(super) fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}
