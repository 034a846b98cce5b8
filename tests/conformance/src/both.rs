//! A launch with any arguments, on both sides.
//!
//! `both!(trial, kernel, grid, [how argument]…)` where `how` is one of
//!
//! | how | the kernel receives |
//! | --- | --- |
//! | `value v` | `v` |
//! | `read xs` | `&[T]` |
//! | `write ys` | `Disjoint<T>` |
//! | `tiles N ys` | `Tiles<T, N>` |
//! | `rows W ys` | `Rows<T>` of width `W` |
//! | `blocks (R, C, W) ys` | `Blocks<T, R, C>` of width `W` |
//! | `atomic ys` | `&[T::Shared]` |
//! | `shared array` | `Shared<[T; N]>` |
//! | `shared slice len` | `Shared<[T]>` |
//!
//! and `xs`, `ys` are variables that hold something sliceable.

/// Runs a kernel on the host and on an accelerator and compares all outputs.
macro_rules! both {
    ($trial:expr, $kernel:expr, $grid:expr $(, [$how:ident $($argument:tt)+])* $(,)?) => {{
        let trial: &$crate::trial::Trial = &*$trial;
        let (kernel, grid) = ($kernel, $grid);
        #[allow(unused_mut)]
        let mut on_host = Vec::new();
        {
            $($crate::both::host_copy!($how $($argument)+);)*
            legionella::host::launch_with_lanes(
                trial.accelerator.subgroup_size(),
                kernel,
                grid,
                ($($crate::both::host_argument!($how $($argument)+),)*),
            );
            $($crate::both::host_observe!(on_host, $how $($argument)+);)*
        }
        #[allow(unused_mut)]
        let mut on_device = Vec::new();
        {
            $($crate::both::upload!(trial, $how $($argument)+);)*
            trial
                .accelerator
                .launch(
                    kernel,
                    grid,
                    ($($crate::both::device_argument!($how $($argument)+),)*),
                )?
                .wait()?;
            $($crate::both::device_observe!(trial, on_device, $how $($argument)+);)*
        }
        trial.compare(&on_host, &on_device)
    }};
}

macro_rules! host_copy {
    (shared $($what:tt)+) => {};
    (value $value:expr) => {};
    (read $name:ident) => {
        let $name = &$name[..];
    };
    ($how:ident $name:ident) => {
        let mut $name = $name.to_vec();
    };
    ($how:ident $width:tt $name:ident) => {
        let mut $name = $name.to_vec();
    };
}

macro_rules! host_argument {
    (shared array) => {
        legionella::host::shared()
    };
    (shared slice $len:expr) => {
        legionella::host::shared_slice($len)
    };
    (value $value:expr) => {
        $value
    };
    (read $name:ident) => {
        $name
    };
    (write $name:ident) => {
        &mut $name[..]
    };
    (atomic $name:ident) => {
        legionella::host::atomic(&mut $name[..])
    };
    (tiles $width:tt $name:ident) => {
        legionella::host::tiles::<_, $width>(&mut $name[..])
    };
    (rows $width:tt $name:ident) => {
        legionella::host::rows(&mut $name[..], $width)
    };
    (blocks ($rows:tt, $columns:tt, $width:expr) $name:ident) => {
        legionella::host::blocks::<_, $rows, $columns>(&mut $name[..], $width)
    };
}

macro_rules! host_observe {
    ($observed:ident, shared $($what:tt)+) => {};
    ($observed:ident, value $value:expr) => {};
    ($observed:ident, read $name:ident) => {};
    ($observed:ident, $how:ident $name:ident) => {
        $observed.push($crate::bits::Observed::new(stringify!($name), $name));
    };
    ($observed:ident, $how:ident $width:tt $name:ident) => {
        $observed.push($crate::bits::Observed::new(stringify!($name), $name));
    };
}

macro_rules! upload {
    ($trial:ident, shared $($what:tt)+) => {};
    ($trial:ident, value $value:expr) => {};
    ($trial:ident, read $name:ident) => {
        let $name = $trial.accelerator.upload(&$name[..])?;
    };
    ($trial:ident, $how:ident $name:ident) => {
        let mut $name = $trial.accelerator.upload(&$name[..])?;
    };
    ($trial:ident, $how:ident $width:tt $name:ident) => {
        let mut $name = $trial.accelerator.upload(&$name[..])?;
    };
}

macro_rules! device_argument {
    (shared array) => {
        legionella::shared()
    };
    (shared slice $len:expr) => {
        legionella::shared_slice($len)
    };
    (value $value:expr) => {
        $value
    };
    (read $name:ident) => {
        &$name
    };
    (write $name:ident) => {
        &mut $name
    };
    (atomic $name:ident) => {
        $name.atomic()
    };
    (tiles $width:tt $name:ident) => {
        $name.tiles::<$width>()
    };
    (rows $width:tt $name:ident) => {
        $name.rows($width)
    };
    (blocks ($rows:tt, $columns:tt, $width:expr) $name:ident) => {
        $name.blocks::<$rows, $columns>($width)
    };
}

macro_rules! device_observe {
    ($trial:ident, $observed:ident, shared $($what:tt)+) => {};
    ($trial:ident, $observed:ident, value $value:expr) => {};
    ($trial:ident, $observed:ident, read $name:ident) => {};
    ($trial:ident, $observed:ident, $how:ident $name:ident) => {
        $observed.push($trial.observe(stringify!($name), &$name)?);
    };
    ($trial:ident, $observed:ident, $how:ident $width:tt $name:ident) => {
        $observed.push($trial.observe(stringify!($name), &$name)?);
    };
}

pub(crate) use {
    both, device_argument, device_observe, host_argument, host_copy, host_observe, upload,
};
