//! The order in which code is looked for.
//!
//! Takes a kernel, a target and a machine, gives code: prebuilt, cached or generated. Everything
//! else in this folder is one of the places that it asks.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use legionella_abi::frame;
use legionella_abi::protocol::{Code, MathsLibrary, Options, TargetSpec};
use tracing::{debug, info};

use super::cache::{Cache, Key};
use super::driver::{self, Drivers, Found};
use super::flight::Flights;
use super::progress::Progress;
use super::{Error, Kernel, Machine, Searched, Settings};

/// The code of a kernel for a target, to run on `machine`. Takes as long as generation does if
/// the code is nowhere yet: keep what it returns.
///
/// # Errors
/// Every [`Error`] but [`Error::NotWrapped`] and [`Error::NotLoaded`].
pub fn obtain(kernel: &Kernel, target: &TargetSpec, machine: &Machine) -> Result<Arc<[u8]>, Error> {
    static CLIENT: OnceLock<Result<Client, Error>> = OnceLock::new();
    CLIENT
        .get_or_init(|| Settings::from_environment().map(Client::new))
        .as_ref()
        .map_err(Error::clone)?
        .obtain(kernel, target, machine)
}

/// Settings, and what was found, started and generated under them.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    cache: Option<Cache>,
    drivers: Drivers,
    flights: Flights<Key, Arc<[u8]>, Error>,
}

impl Client {
    /// A client that has done nothing yet.
    pub fn new(settings: Settings) -> Client {
        Client {
            cache: settings
                .cache
                .clone()
                .map(|folder| Cache::new(folder, settings.cache_size)),
            drivers: Drivers::default(),
            flights: Flights::default(),
            settings,
        }
    }

    /// As the function [`obtain`], under this client's settings.
    ///
    /// # Errors
    /// As there.
    pub fn obtain(
        &self,
        kernel: &Kernel,
        target: &TargetSpec,
        machine: &Machine,
    ) -> Result<Arc<[u8]>, Error> {
        // Who asks for a dump wants generation to happen.
        if self.settings.dump.is_none()
            && let Some(code) = prebuilt(kernel, target, machine)?
        {
            debug!(kernel = kernel.name(), "prebuilt code fits");
            return Ok(code);
        }
        let driver = driver::find(&self.settings, &kernel.bundle().manifest.driver);
        let maths = self.settings.maths.get(&target.kind);
        let key = key(kernel, target, machine, driver.as_ref().ok(), maths);
        let interrupted = Error::Failed {
            kernel: kernel.name().to_owned(),
            target: target.clone(),
            reason: "the thread that generated it panicked".to_owned(),
        };
        self.flights.join(&key, interrupted, || {
            self.cached_or_generated(kernel, target, machine, &key, driver)
        })
    }

    fn cached_or_generated(
        &self,
        kernel: &Kernel,
        target: &TargetSpec,
        machine: &Machine,
        key: &Key,
        driver: Result<Found, Vec<Searched>>,
    ) -> Result<Arc<[u8]>, Error> {
        let use_cached = self.settings.dump.is_none();
        let cached = || {
            let code = self.cache.as_ref().filter(|_| use_cached)?.lookup(key)?;
            debug!(kernel = kernel.name(), %key, "code is cached");
            Some(fitting(kernel, target, machine, code))
        };
        if let Some(code) = cached() {
            return code;
        }
        let driver = driver.map_err(|searched| Error::NoDriver {
            kernel: kernel.name().to_owned(),
            searched,
        })?;
        let since = Instant::now();
        let mut progress = Progress::of(kernel.name());
        let mut tick = || progress.tick();
        let patience = self.settings.timeout;
        let lock = self
            .cache
            .as_ref()
            .and_then(|cache| cache.lock(key, patience, &mut tick));
        // Another process may have generated it while this one waited for the lock.
        if lock.is_some()
            && let Some(code) = cached()
        {
            return code;
        }
        let options = Options {
            dump: self.settings.dump.clone(),
            maths: self.settings.maths.get(&target.kind).cloned(),
        };
        let code = self.drivers.generate(
            &driver,
            kernel,
            target,
            &options,
            self.settings.timeout,
            &mut tick,
        )?;
        info!(
            kernel = kernel.name(),
            target = target.kind,
            took = ?since.elapsed(),
            size = code.bytes.len(),
            "generated code"
        );
        if let Some(cache) = &self.cache {
            cache.store(key, &code);
        }
        fitting(kernel, target, machine, code)
    }
}

/// Prebuilt code of the bundle that suits target and machine; of several, the one that makes most
/// of the machine.
fn prebuilt(
    kernel: &Kernel,
    target: &TargetSpec,
    machine: &Machine,
) -> Result<Option<Arc<[u8]>>, Error> {
    let bundle = kernel.bundle();
    let best = bundle
        .manifest
        .prebuilt
        .iter()
        .filter(|entry| {
            entry.kernel as usize == kernel.index()
                && entry.target.kind == target.kind
                && (target.cpu.is_empty() || entry.target.cpu == target.cpu)
                && machine.missing(&entry.requires).is_empty()
        })
        .max_by_key(|entry| entry.requires.len());
    let Some(entry) = best else {
        return Ok(None);
    };
    let code = bundle.code(entry).ok_or_else(|| Error::BadBundle {
        reason: format!("prebuilt code of kernel `{}` is cut short", kernel.name()),
    })?;
    Ok(Some(Arc::from(code)))
}

/// Code that was asked for by the name of a machine must also run on this one.
fn fitting(
    kernel: &Kernel,
    target: &TargetSpec,
    machine: &Machine,
    code: Code,
) -> Result<Arc<[u8]>, Error> {
    // An empty name means the machine at hand, which the driver asked LLVM about.
    if !target.cpu.is_empty() {
        let missing = machine.missing(&code.requires);
        if !missing.is_empty() {
            return Err(Error::Unfit {
                kernel: kernel.name().to_owned(),
                missing: missing.into_iter().map(str::to_owned).collect(),
            });
        }
    }
    Ok(Arc::from(code.bytes))
}

/// Hash of everything that the code depends on.
fn key(
    kernel: &Kernel,
    target: &TargetSpec,
    machine: &Machine,
    driver: Option<&Found>,
    maths: Option<&MathsLibrary>,
) -> Key {
    let bundle = kernel.bundle();
    // Where a dump goes has no part in the code.
    let options = Options {
        dump: None,
        maths: maths.cloned(),
    };
    // Without a driver, its path stands for it: code that such a program cached is still its own.
    let driver = driver.map_or_else(
        || bundle.manifest.driver.clone().into_bytes(),
        Found::identity,
    );
    let mut hasher = blake3::Hasher::new();
    hasher.update(&legionella_abi::VERSION.to_le_bytes());
    hasher.update(&bundle.header.module_hash);
    hasher.update(machine.fingerprint());
    // Frames start with their length, so no two lists of fields give the same bytes.
    hasher.update(&frame::encode(&(
        &kernel.entry().entry,
        target,
        &options,
        &driver,
    )));
    Key(*hasher.finalize().as_bytes())
}
