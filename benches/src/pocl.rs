//! The same kernels in OpenCL C, run by PoCL on the processor.
//!
//! `libOpenCL.so.1` is opened at run time; where it or PoCL is missing, rows are skipped by name. Programs
//! are built before anything is measured, with strict arithmetic: no contraction, no fast functions.

use std::ffi::c_void;
use std::ptr::null;

use anyhow::{Context as _, anyhow};
use legionella::prelude::DeviceData;
use opencl3::command_queue::CommandQueue;
use opencl3::context::Context;
use opencl3::device::{CL_DEVICE_TYPE_CPU, Device};
use opencl3::kernel::Kernel;
use opencl3::memory::{Buffer, CL_MEM_COPY_HOST_PTR, CL_MEM_READ_WRITE, ClMem};
use opencl3::platform::get_platforms;
use opencl3::program::Program;
use opencl3::types::CL_BLOCKING;

use crate::measure::side_by_side;

/// What PoCL calls its platform.
const PLATFORM: &str = "Portable Computing Language";

/// How to get it.
const ADVICE: &str = "`apt-get install pocl-opencl-icd` brings PoCL";

const OPTIONS: &str = "-cl-std=CL3.0 -cl-fp32-correctly-rounded-divide-sqrt";

/// PoCL with the kernels' program.
struct Ready {
    program: Program,
    queue: CommandQueue,
    context: Context,
}

/// PoCL, or why there is none.
pub struct Pocl(Result<Ready, String>);

impl Pocl {
    /// Opens PoCL and builds the kernels.
    pub fn open() -> Self {
        Pocl(open().map_err(|error| format!("{error:#}")))
    }

    /// No PoCL: its device would not be the accelerator's.
    pub fn none(accelerator: &str) -> Self {
        Pocl(Err(format!(
            "PoCL runs on the processor, and {accelerator} is measured"
        )))
    }

    /// Measures a kernel beside ours; `None`, with a word on why, where there is no PoCL. The kernel is
    /// launched by `turn`.
    pub fn beside<'a>(
        &'a self,
        name: &str,
        ours: impl FnMut() -> anyhow::Result<()>,
        kernel: impl FnOnce(Call<'a>) -> anyhow::Result<Call<'a>>,
        mut turn: impl FnMut(&mut Call<'a>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Beside<'a>>> {
        let ready = match &self.0 {
            Ok(ready) => ready,
            Err(reason) => {
                eprintln!("skipped {name}-pocl: {reason}");
                return Ok(None);
            }
        };
        let call = Call {
            ready,
            kernel: Kernel::create(&ready.program, &name.replace('-', "_"))?,
            arguments: 0,
            buffers: Vec::new(),
            global: Vec::new(),
            local: None,
        };
        let mut call = kernel(call)?;
        let mut failed = None;
        let times = side_by_side(ours, || {
            if let Err(error) = turn(&mut call) {
                failed = Some(error);
            }
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(Some(Beside { times, call })),
        }
    }
}

fn open() -> anyhow::Result<Ready> {
    let platforms = get_platforms().map_err(|error| anyhow!("no OpenCL ({error}); {ADVICE}"))?;
    let pocl =
        (platforms.into_iter()).find(|platform| platform.name().is_ok_and(|name| name == PLATFORM));
    let pocl = pocl.with_context(|| format!("OpenCL has no platform `{PLATFORM}`; {ADVICE}"))?;
    let devices = pocl.get_devices(CL_DEVICE_TYPE_CPU)?;
    let device = Device::new(*devices.first().context("PoCL has no processor")?);
    let context = Context::from_device(&device)?;
    let queue = CommandQueue::create_default_with_properties(&context, 0, 0)?;
    let program =
        Program::create_and_build_from_source(&context, include_str!("pocl/kernels.cl"), OPTIONS)
            .map_err(|log| anyhow!("PoCL can't build the kernels: {log}"))?;
    Ok(Ready {
        program,
        queue,
        context,
    })
}

/// A kernel that has been measured beside ours.
pub struct Beside<'a> {
    /// Median times of ours and PoCL's in seconds.
    pub times: (f64, f64),
    call: Call<'a>,
}

impl Beside<'_> {
    /// What the kernel left in the buffer of that number, counted among buffers.
    pub fn read<T: DeviceData + Default>(
        &self,
        buffer: usize,
        len: usize,
    ) -> anyhow::Result<Vec<T>> {
        let mut data = vec![T::default(); len];
        let size = size_of_val(&*data);
        // SAFETY: plain data, of which every byte may be written.
        let bytes = unsafe { std::slice::from_raw_parts_mut(data.as_mut_ptr().cast::<u8>(), size) };
        // SAFETY: the read is waited for.
        unsafe {
            let queue = &self.call.ready.queue;
            queue.enqueue_read_buffer(&self.call.buffers[buffer], CL_BLOCKING, 0, bytes, &[])?;
        }
        Ok(data)
    }
}

/// A launch of a kernel. Arguments are given in their order.
pub struct Call<'a> {
    ready: &'a Ready,
    kernel: Kernel,
    arguments: u32,
    buffers: Vec<Buffer<u8>>,
    global: Vec<usize>,
    local: Option<Vec<usize>>,
}

impl Call<'_> {
    /// How many items there are, by dimension.
    pub fn over(mut self, global: &[usize]) -> Self {
        self.global = global.to_vec();
        self
    }

    /// How many items a group has, by dimension; else PoCL chooses.
    pub fn group(mut self, local: &[usize]) -> Self {
        self.local = Some(local.to_vec());
        self
    }

    /// An argument that is a number.
    pub fn value<T: DeviceData>(mut self, value: T) -> anyhow::Result<Self> {
        // SAFETY: the kernel's parameter has this type.
        unsafe { self.kernel.set_arg(self.arguments, &value)? };
        self.arguments += 1;
        Ok(self)
    }

    /// An argument that is a buffer with a copy of this.
    pub fn buffer<T: DeviceData>(mut self, data: &[T]) -> anyhow::Result<Self> {
        let start = data.as_ptr().cast::<c_void>().cast_mut();
        let flags = CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR;
        // SAFETY: the data is copied before the call returns.
        let buffer =
            unsafe { Buffer::create(&self.ready.context, flags, size_of_val(data), start)? };
        // SAFETY: the kernel's parameter is a pointer, and the buffer lives as long as the kernel.
        unsafe { self.kernel.set_arg(self.arguments, &buffer.get())? };
        self.arguments += 1;
        self.buffers.push(buffer);
        Ok(self)
    }

    /// Writes zeros into a buffer.
    pub fn clear(&mut self, buffer: usize, bytes: usize) -> anyhow::Result<()> {
        let buffer = &mut self.buffers[buffer];
        let queue = &self.ready.queue;
        // SAFETY: the buffer has as many bytes.
        unsafe { queue.enqueue_fill_buffer(buffer, &[0u8], 0, bytes, &[])? };
        Ok(())
    }

    /// Launches the kernel and waits for it.
    pub fn run(&mut self) -> anyhow::Result<()> {
        let queue = &self.ready.queue;
        let local = self.local.as_ref().map_or(null(), |local| local.as_ptr());
        // SAFETY: all arguments are set; the kernel stays within its buffers, which were made for as many
        // items.
        unsafe {
            let dimensions = self.global.len() as u32;
            let global = self.global.as_ptr();
            queue.enqueue_nd_range_kernel(
                self.kernel.get(),
                dimensions,
                null(),
                global,
                local,
                &[],
            )?;
        }
        Ok(queue.finish()?)
    }
}
