//! What another thread makes while a target optimises a kernel.

use std::thread::{Builder, JoinHandle};

use crate::error::Error;

/// As much as a program's first thread has: LLVM recurs.
const STACK: usize = 8 << 20;

/// A part of a kernel's code that another thread makes, if there is one. The thread ends before this goes.
#[derive(Default)]
pub(crate) struct Meanwhile(Option<JoinHandle<Result<Vec<u8>, Error>>>);

impl Meanwhile {
    /// Begins to make a part.
    pub(super) fn begin(
        make: impl FnOnce() -> Result<Vec<u8>, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let thread = Builder::new().stack_size(STACK).spawn(make);
        let thread = thread.map_err(|error| failed(error.to_string()))?;
        Ok(Meanwhile(Some(thread)))
    }

    /// Waits for the part.
    pub(super) fn end(mut self) -> Result<Option<Vec<u8>>, Error> {
        let Some(thread) = self.0.take() else {
            return Ok(None);
        };
        match thread.join() {
            Ok(made) => made.map(Some),
            Err(_) => Err(failed("it has panicked".to_owned())),
        }
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        // LLVM must not be at work when the process ends.
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

fn failed(reason: String) -> Error {
    Error::Internal {
        stage: "a thread beside the optimiser",
        reason,
    }
}
