//! Code objects, executables and symbols.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::machine::executable::{Loaded, Symbol, SymbolKind};
use crate::machine::queue::announce;

use super::agents::AgentHandle;
use super::{Status, give, give_text, initialized, status};

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        pub struct $name {
            /// The number.
            pub handle: u64,
        }
    )*};
}

handles! {
    /// `hsa_code_object_reader_t`.
    Reader
    /// `hsa_executable_t`.
    ExecutableHandle
    /// `hsa_executable_symbol_t`.
    SymbolHandle
    /// `hsa_loaded_code_object_t`.
    LoadedHandle
}

#[derive(Debug, Default)]
struct Executable {
    frozen: bool,
    loaded: Vec<Arc<Loaded>>,
}

/// A symbol that was asked for.
#[derive(Debug)]
struct Named {
    symbol: Symbol,
    loaded: Arc<Loaded>,
}

/// What handles stand for.
#[derive(Debug, Default)]
struct Tables {
    readers: HashMap<u64, Arc<[u8]>>,
    executables: HashMap<u64, Executable>,
    symbols: HashMap<u64, Arc<Named>>,
    /// The handles of symbols, by address and agent, so that one symbol has one handle.
    known: HashMap<(u64, u32), u64>,
}

fn with<T>(work: impl FnOnce(&mut Tables) -> T) -> T {
    static TABLES: OnceLock<Mutex<Tables>> = OnceLock::new();
    let mut tables = TABLES
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    work(&mut tables)
}

fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Makes a reader of a code object in memory.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_code_object_reader_create_from_memory(
    bytes: *const c_void,
    size: usize,
    reader: *mut Reader,
) -> Status {
    initialized!();
    if bytes.is_null() || size == 0 || reader.is_null() {
        return status::INVALID_ARGUMENT;
    }
    // SAFETY: the header's contract.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), size) };
    let handle = number();
    with(|tables| tables.readers.insert(handle, bytes.into()));
    // SAFETY: the header's contract.
    unsafe { give(reader.cast(), Reader { handle }) }
}

/// Gives a reader back.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_code_object_reader_destroy(reader: Reader) -> Status {
    initialized!();
    match with(|tables| tables.readers.remove(&reader.handle)) {
        Some(_) => status::SUCCESS,
        None => status::INVALID_CODE_OBJECT_READER,
    }
}

/// Makes an executable without code.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_executable_create_alt(
    _profile: u32,
    _rounding: u32,
    _options: *const c_char,
    executable: *mut ExecutableHandle,
) -> Status {
    initialized!();
    if executable.is_null() {
        return status::INVALID_ARGUMENT;
    }
    let handle = number();
    with(|tables| tables.executables.insert(handle, Executable::default()));
    // SAFETY: the header's contract.
    unsafe { give(executable.cast(), ExecutableHandle { handle }) }
}

/// Gives an executable back, and the memory of its code.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_executable_destroy(executable: ExecutableHandle) -> Status {
    initialized!();
    with(
        |tables| match tables.executables.remove(&executable.handle) {
            Some(executable) => {
                let gone = |loaded: &Arc<Loaded>| {
                    executable
                        .loaded
                        .iter()
                        .any(|other| Arc::ptr_eq(other, loaded))
                };
                tables.symbols.retain(|_, named| !gone(&named.loaded));
                let symbols = &tables.symbols;
                tables
                    .known
                    .retain(|_, handle| symbols.contains_key(handle));
                status::SUCCESS
            }
            None => status::INVALID_EXECUTABLE,
        },
    )
}

/// Loads a code object for an agent.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_executable_load_agent_code_object(
    executable: ExecutableHandle,
    agent: AgentHandle,
    reader: Reader,
    _options: *const c_char,
    loaded: *mut LoadedHandle,
) -> Status {
    initialized!();
    let Some(agent) = agent.agent() else {
        return status::INVALID_AGENT;
    };
    let Some(isa) = agent.isa else {
        return status::INVALID_AGENT;
    };
    let (state, bytes) = with(|tables| {
        let state = match tables.executables.get(&executable.handle) {
            Some(executable) if executable.frozen => status::FROZEN_EXECUTABLE,
            Some(_) => status::SUCCESS,
            None => status::INVALID_EXECUTABLE,
        };
        (state, tables.readers.get(&reader.handle).cloned())
    });
    if state != status::SUCCESS {
        return state;
    }
    let Some(bytes) = bytes else {
        return status::INVALID_CODE_OBJECT_READER;
    };
    let code = match Loaded::load(&bytes, isa, agent.number) {
        Ok(code) => Arc::new(code),
        Err(error) => {
            eprintln!("legionella-hsasim: {error}");
            return status::INVALID_CODE_OBJECT;
        }
    };
    announce(&code);
    let handle = number();
    let known = with(
        |tables| match tables.executables.get_mut(&executable.handle) {
            Some(executable) => {
                executable.loaded.push(code);
                true
            }
            None => false,
        },
    );
    if !known {
        return status::INVALID_EXECUTABLE;
    }
    if loaded.is_null() {
        return status::SUCCESS;
    }
    // SAFETY: the header's contract.
    unsafe { give(loaded.cast(), LoadedHandle { handle }) }
}

/// Ends the loading of code.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_executable_freeze(
    executable: ExecutableHandle,
    _options: *const c_char,
) -> Status {
    initialized!();
    with(
        |tables| match tables.executables.get_mut(&executable.handle) {
            Some(executable) if executable.frozen => status::FROZEN_EXECUTABLE,
            Some(executable) => {
                executable.frozen = true;
                status::SUCCESS
            }
            None => status::INVALID_EXECUTABLE,
        },
    )
}

impl Tables {
    fn handle(&mut self, symbol: &Symbol, loaded: &Arc<Loaded>) -> SymbolHandle {
        let key = (symbol.address, loaded.agent);
        let handle = *self.known.entry(key).or_insert_with(number);
        self.symbols.entry(handle).or_insert_with(|| {
            Arc::new(Named {
                symbol: symbol.clone(),
                loaded: Arc::clone(loaded),
            })
        });
        SymbolHandle { handle }
    }
}

/// Finds a symbol.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_executable_get_symbol_by_name(
    executable: ExecutableHandle,
    name: *const c_char,
    agent: *const AgentHandle,
    symbol: *mut SymbolHandle,
) -> Status {
    initialized!();
    if name.is_null() || symbol.is_null() {
        return status::INVALID_ARGUMENT;
    }
    // SAFETY: the header's contract: a terminated string, and an agent or none.
    let (name, agent) = unsafe {
        (
            CStr::from_ptr(name).to_string_lossy(),
            agent.as_ref().copied(),
        )
    };
    let agent = match agent {
        Some(handle) => match handle.agent() {
            Some(agent) => Some(agent.number),
            None => return status::INVALID_AGENT,
        },
        None => None,
    };
    let found = with(|tables| {
        let executable = tables
            .executables
            .get(&executable.handle)
            .ok_or(status::INVALID_EXECUTABLE)?;
        let (found, loaded) = executable
            .loaded
            .iter()
            .filter(|loaded| agent.is_none_or(|agent| loaded.agent == agent))
            .find_map(|loaded| {
                let symbol = loaded.symbols.iter().find(|symbol| symbol.name == name)?;
                Some((symbol.clone(), Arc::clone(loaded)))
            })
            .ok_or(status::INVALID_SYMBOL_NAME)?;
        Ok(tables.handle(&found, &loaded))
    });
    match found {
        // SAFETY: the header's contract.
        Ok(handle) => unsafe { give(symbol.cast(), handle) },
        Err(status) => status,
    }
}

/// Calls a function for each symbol of an agent.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_executable_iterate_agent_symbols(
    executable: ExecutableHandle,
    agent: AgentHandle,
    callback: Option<
        unsafe extern "C" fn(ExecutableHandle, AgentHandle, SymbolHandle, *mut c_void) -> Status,
    >,
    data: *mut c_void,
) -> Status {
    initialized!();
    let Some(callback) = callback else {
        return status::INVALID_ARGUMENT;
    };
    let Some(number) = agent.agent().map(|agent| agent.number) else {
        return status::INVALID_AGENT;
    };
    let handles = with(|tables| {
        let executable = tables.executables.get(&executable.handle)?;
        let symbols: Vec<_> = executable
            .loaded
            .iter()
            .filter(|loaded| loaded.agent == number)
            .flat_map(|loaded| {
                loaded
                    .symbols
                    .iter()
                    .map(|symbol| (symbol.clone(), Arc::clone(loaded)))
            })
            .collect();
        Some(
            symbols
                .iter()
                .map(|(symbol, loaded)| tables.handle(symbol, loaded))
                .collect::<Vec<_>>(),
        )
    });
    let Some(handles) = handles else {
        return status::INVALID_EXECUTABLE;
    };
    for handle in handles {
        // SAFETY: the header's contract.
        let result = unsafe { callback(executable, agent, handle, data) };
        if result != status::SUCCESS {
            return result;
        }
    }
    status::SUCCESS
}

/// Tells of a symbol.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_executable_symbol_get_info(
    symbol: SymbolHandle,
    attribute: u32,
    value: *mut c_void,
) -> Status {
    initialized!();
    let Some(named) = with(|tables| tables.symbols.get(&symbol.handle).cloned()) else {
        return status::INVALID_EXECUTABLE_SYMBOL;
    };
    let symbol = &named.symbol;
    let descriptor = named
        .loaded
        .descriptor(symbol.address)
        .map(|(_, descriptor)| descriptor);
    // SAFETY: the header's contract: the value has the attribute's type.
    unsafe {
        match (attribute, descriptor) {
            (0, _) => give(value, u32::from(symbol.kind == SymbolKind::Kernel)),
            (1, _) => give(value, symbol.name.len() as u32),
            (2, _) => give_text(value, &symbol.name, symbol.name.len()),
            (5, _) => give(value, 1u32),
            (17, _) => give(value, true),
            (20, _) => give(
                value,
                AgentHandle {
                    handle: u64::from(named.loaded.agent) + 1,
                },
            ),
            (21, None) => give(value, symbol.address),
            (9, None) => give(value, symbol.size as u32),
            (22, Some(_)) => give(value, symbol.address),
            (11, Some(descriptor)) => give(value, descriptor.arguments_size),
            (12, Some(_)) => give(value, 16u32),
            (13, Some(descriptor)) => give(value, descriptor.group_size),
            (14, Some(descriptor)) => give(value, descriptor.private_size),
            (15, Some(descriptor)) => give(value, descriptor.has_dynamic_stack()),
            _ => status::INVALID_ARGUMENT,
        }
    }
}
