//! Sizes, offsets and values, against ROCm's own headers: a C program prints what they say.
//!
//! Without the headers (Debian: `libhsa-runtime-dev`) there is nothing to compare with, and the test says so.

use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

use legionella_abi::hsa as kernels;
use legionella_hsasim::abi::pools::PointerInfo;
use legionella_hsasim::abi::status;
use legionella_hsasim::machine::packet;
use legionella_hsasim::machine::queue::Shared;
use legionella_hsasim::machine::signal::{self, Signal};

/// Where C has a structure's fields, and where they are here: by either of the two structures that have it, what kernels
/// use and what the simulator does.
macro_rules! offsets {
    ($structure:ty as $name:literal: $($field:ident = $of:literal . $called:ident),* $(,)?) => {
        vec![
            (concat!("_Alignof(", $name, ")"), align_of::<$structure>() as i64),
            $((
                concat!("offsetof(", $of, ", ", stringify!($called), ")"),
                offset_of!($structure, $field) as i64,
            ),)*
        ]
    };
}

macro_rules! signals {
    ($structure:ty) => {
        offsets! { $structure as "amd_signal_t":
            kind = "amd_signal_t".kind,
            value = "amd_signal_t".value,
            value = "amd_signal_t".hardware_doorbell_ptr,
            event_mailbox = "amd_signal_t".event_mailbox_ptr,
            event = "amd_signal_t".event_id,
            start = "amd_signal_t".start_ts,
            end = "amd_signal_t".end_ts,
            queue = "amd_signal_t".queue_ptr,
        }
    };
}

macro_rules! queues {
    ($structure:ty, $ring:ident) => {
        offsets! { $structure as "amd_queue_t":
            kind = "hsa_queue_t".type,
            features = "hsa_queue_t".features,
            $ring = "hsa_queue_t".base_address,
            doorbell = "hsa_queue_t".doorbell_signal,
            size = "hsa_queue_t".size,
            id = "hsa_queue_t".id,
            write_index = "amd_queue_t".write_dispatch_id,
            read_index = "amd_queue_t".read_dispatch_id,
        }
    };
}

/// What C calls it, and what it is here.
fn expected() -> Vec<(&'static str, i64)> {
    let size = |bytes: usize| bytes as i64;
    let mut all = [
        signals!(Signal),
        signals!(kernels::Signal),
        queues!(Shared, ring),
        queues!(kernels::Queue, base),
    ]
    .concat();
    all.extend([
        ("sizeof(amd_signal_t)", size(size_of::<Signal>())),
        ("sizeof(amd_signal_t)", size(size_of::<kernels::Signal>())),
        ("AMD_SIGNAL_KIND_USER", signal::USER),
        ("AMD_SIGNAL_KIND_USER", kernels::Signal::USER),
        ("AMD_SIGNAL_KIND_DOORBELL", signal::DOORBELL),
        ("AMD_SIGNAL_KIND_DOORBELL", kernels::Signal::DOORBELL),
        ("sizeof(amd_queue_t)", size(size_of::<Shared>())),
        (
            "offsetof(amd_queue_t, group_segment_aperture_base_hi)",
            size(offset_of!(Shared, group_aperture)),
        ),
        (
            "offsetof(amd_queue_t, private_segment_aperture_base_hi)",
            size(offset_of!(Shared, private_aperture)),
        ),
        (
            "offsetof(amd_queue_t, read_dispatch_id_field_base_byte_offset)",
            size(offset_of!(Shared, read_index_offset)),
        ),
        (
            "offsetof(amd_queue_t, queue_properties)",
            size(offset_of!(Shared, properties)),
        ),
        (
            "offsetof(amd_queue_t, queue_inactive_signal)",
            size(offset_of!(Shared, inactive_signal)),
        ),
        ("AMD_QUEUE_PROPERTIES_IS_PTR64", 1 << 1),
        ("sizeof(hsa_kernel_dispatch_packet_t)", size(packet::SIZE)),
        (
            "sizeof(hsa_kernel_dispatch_packet_t)",
            size(size_of::<kernels::Packet>()),
        ),
        (
            "offsetof(hsa_kernel_dispatch_packet_t, kernarg_address)",
            size(offset_of!(kernels::Packet, words) + 4 * kernels::KERNEL_ARGUMENTS),
        ),
        (
            "offsetof(hsa_kernel_dispatch_packet_t, workgroup_size_x)",
            4,
        ),
        (
            "offsetof(hsa_kernel_dispatch_packet_t, workgroup_size_z)",
            8,
        ),
        ("offsetof(hsa_kernel_dispatch_packet_t, grid_size_x)", 12),
        (
            "offsetof(hsa_kernel_dispatch_packet_t, private_segment_size)",
            24,
        ),
        (
            "offsetof(hsa_kernel_dispatch_packet_t, group_segment_size)",
            28,
        ),
        ("offsetof(hsa_kernel_dispatch_packet_t, kernel_object)", 32),
        (
            "offsetof(hsa_kernel_dispatch_packet_t, kernarg_address)",
            40,
        ),
        (
            "offsetof(hsa_kernel_dispatch_packet_t, completion_signal)",
            56,
        ),
        ("offsetof(hsa_barrier_and_packet_t, dep_signal)", 8),
        ("offsetof(hsa_barrier_or_packet_t, completion_signal)", 56),
        ("offsetof(hsa_amd_barrier_value_packet_t, signal)", 8),
        ("offsetof(hsa_amd_barrier_value_packet_t, value)", 16),
        ("offsetof(hsa_amd_barrier_value_packet_t, mask)", 24),
        ("offsetof(hsa_amd_barrier_value_packet_t, cond)", 32),
        ("HSA_PACKET_TYPE_VENDOR_SPECIFIC", packet::VENDOR.into()),
        ("HSA_PACKET_TYPE_INVALID", packet::INVALID.into()),
        ("HSA_PACKET_TYPE_KERNEL_DISPATCH", packet::DISPATCH.into()),
        ("HSA_PACKET_TYPE_BARRIER_AND", packet::BARRIER_AND.into()),
        ("HSA_PACKET_TYPE_BARRIER_OR", packet::BARRIER_OR.into()),
        ("HSA_PACKET_HEADER_BARRIER", 8),
        (
            "sizeof(hsa_amd_pointer_info_t)",
            size(size_of::<PointerInfo>()),
        ),
        ("HSA_STATUS_INFO_BREAK", status::INFO_BREAK.into()),
        ("HSA_STATUS_ERROR", status::ERROR.into()),
        (
            "HSA_STATUS_ERROR_INVALID_ARGUMENT",
            status::INVALID_ARGUMENT.into(),
        ),
        (
            "HSA_STATUS_ERROR_INVALID_QUEUE_CREATION",
            status::INVALID_QUEUE_CREATION.into(),
        ),
        (
            "HSA_STATUS_ERROR_INVALID_ALLOCATION",
            status::INVALID_ALLOCATION.into(),
        ),
        (
            "HSA_STATUS_ERROR_INVALID_AGENT",
            status::INVALID_AGENT.into(),
        ),
        (
            "HSA_STATUS_ERROR_INVALID_SIGNAL",
            status::INVALID_SIGNAL.into(),
        ),
        (
            "HSA_STATUS_ERROR_INVALID_QUEUE",
            status::INVALID_QUEUE.into(),
        ),
        (
            "HSA_STATUS_ERROR_OUT_OF_RESOURCES",
            status::OUT_OF_RESOURCES.into(),
        ),
        (
            "HSA_STATUS_ERROR_INVALID_PACKET_FORMAT",
            status::INVALID_PACKET_FORMAT.into(),
        ),
        (
            "HSA_STATUS_ERROR_NOT_INITIALIZED",
            status::NOT_INITIALIZED.into(),
        ),
        (
            "HSA_STATUS_ERROR_INCOMPATIBLE_ARGUMENTS",
            status::INCOMPATIBLE_ARGUMENTS.into(),
        ),
        ("HSA_STATUS_ERROR_INVALID_ISA", status::INVALID_ISA.into()),
        (
            "HSA_STATUS_ERROR_INVALID_CODE_OBJECT",
            status::INVALID_CODE_OBJECT.into(),
        ),
        (
            "HSA_STATUS_ERROR_INVALID_EXECUTABLE",
            status::INVALID_EXECUTABLE.into(),
        ),
        (
            "HSA_STATUS_ERROR_FROZEN_EXECUTABLE",
            status::FROZEN_EXECUTABLE.into(),
        ),
        (
            "HSA_STATUS_ERROR_INVALID_SYMBOL_NAME",
            status::INVALID_SYMBOL_NAME.into(),
        ),
        ("HSA_STATUS_ERROR_EXCEPTION", status::EXCEPTION.into()),
        (
            "HSA_STATUS_ERROR_INVALID_ISA_NAME",
            status::INVALID_ISA_NAME.into(),
        ),
        (
            "HSA_STATUS_ERROR_INVALID_EXECUTABLE_SYMBOL",
            status::INVALID_EXECUTABLE_SYMBOL.into(),
        ),
        (
            "HSA_STATUS_ERROR_INVALID_CODE_OBJECT_READER",
            status::INVALID_CODE_OBJECT_READER.into(),
        ),
        ("HSA_STATUS_ERROR_FATAL", status::FATAL.into()),
        (
            "HSA_STATUS_ERROR_INVALID_MEMORY_POOL",
            status::INVALID_MEMORY_POOL.into(),
        ),
        (
            "HSA_STATUS_ERROR_MEMORY_APERTURE_VIOLATION",
            status::MEMORY_APERTURE_VIOLATION.into(),
        ),
        (
            "HSA_STATUS_ERROR_ILLEGAL_INSTRUCTION",
            status::ILLEGAL_INSTRUCTION.into(),
        ),
        ("HSA_STATUS_ERROR_MEMORY_FAULT", status::MEMORY_FAULT.into()),
        ("HSA_AGENT_INFO_NAME", 0),
        ("HSA_AGENT_INFO_WAVEFRONT_SIZE", 6),
        ("HSA_AGENT_INFO_WORKGROUP_MAX_DIM", 7),
        ("HSA_AGENT_INFO_WORKGROUP_MAX_SIZE", 8),
        ("HSA_AGENT_INFO_GRID_MAX_DIM", 9),
        ("HSA_AGENT_INFO_GRID_MAX_SIZE", 10),
        ("HSA_AGENT_INFO_QUEUES_MAX", 12),
        ("HSA_AGENT_INFO_QUEUE_MIN_SIZE", 13),
        ("HSA_AGENT_INFO_QUEUE_MAX_SIZE", 14),
        ("HSA_AGENT_INFO_DEVICE", 17),
        ("HSA_AGENT_INFO_ISA", 19),
        ("HSA_AMD_AGENT_INFO_COMPUTE_UNIT_COUNT", 0xA002),
        ("HSA_AMD_AGENT_INFO_BDFID", 0xA006),
        ("HSA_AMD_AGENT_INFO_PRODUCT_NAME", 0xA009),
        ("HSA_AMD_AGENT_INFO_MAX_WAVES_PER_CU", 0xA00A),
        ("HSA_AMD_AGENT_INFO_NUM_SIMDS_PER_CU", 0xA00B),
        ("HSA_AMD_AGENT_INFO_UUID", 0xA011),
        ("HSA_AMD_MEMORY_POOL_INFO_SEGMENT", 0),
        ("HSA_AMD_MEMORY_POOL_INFO_GLOBAL_FLAGS", 1),
        ("HSA_AMD_MEMORY_POOL_INFO_SIZE", 2),
        ("HSA_AMD_MEMORY_POOL_INFO_RUNTIME_ALLOC_ALLOWED", 5),
        ("HSA_AMD_MEMORY_POOL_INFO_ALLOC_MAX_SIZE", 16),
        ("HSA_AMD_MEMORY_POOL_GLOBAL_FLAG_KERNARG_INIT", 1),
        ("HSA_AMD_MEMORY_POOL_GLOBAL_FLAG_FINE_GRAINED", 2),
        ("HSA_AMD_MEMORY_POOL_GLOBAL_FLAG_COARSE_GRAINED", 4),
        ("HSA_AMD_SEGMENT_GROUP", 3),
        ("HSA_EXECUTABLE_SYMBOL_INFO_TYPE", 0),
        ("HSA_EXECUTABLE_SYMBOL_INFO_NAME_LENGTH", 1),
        ("HSA_EXECUTABLE_SYMBOL_INFO_NAME", 2),
        ("HSA_EXECUTABLE_SYMBOL_INFO_VARIABLE_ADDRESS", 21),
        ("HSA_EXECUTABLE_SYMBOL_INFO_VARIABLE_SIZE", 9),
        ("HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_OBJECT", 22),
        ("HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_KERNARG_SEGMENT_SIZE", 11),
        (
            "HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_KERNARG_SEGMENT_ALIGNMENT",
            12,
        ),
        ("HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_GROUP_SEGMENT_SIZE", 13),
        ("HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_PRIVATE_SEGMENT_SIZE", 14),
        ("HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_DYNAMIC_CALLSTACK", 15),
        ("HSA_SYMBOL_KIND_KERNEL", 1),
        ("HSA_SYSTEM_INFO_TIMESTAMP_FREQUENCY", 3),
        ("HSA_QUEUE_TYPE_MULTI", 0),
        ("HSA_QUEUE_TYPE_SINGLE", 1),
        ("HSA_WAIT_STATE_BLOCKED", 0),
        ("HSA_SIGNAL_CONDITION_EQ", 0),
        ("HSA_SIGNAL_CONDITION_NE", 1),
        ("HSA_SIGNAL_CONDITION_LT", 2),
        ("HSA_SIGNAL_CONDITION_GTE", 3),
    ]);
    all
}

#[test]
fn structures_and_values_are_those_of_the_headers() {
    let header = Path::new("/usr/include/hsa/amd_hsa_queue.h");
    if !header.exists() {
        println!(
            "skipped: {} is not there (Debian: libhsa-runtime-dev)",
            header.display()
        );
        return;
    }
    let expected = expected();
    let mut source = String::from(
        "#include <stddef.h>\n#include <stdio.h>\n#include <stdbool.h>\n#define LITTLEENDIAN_CPU\n\
         #include <hsa/hsa.h>\n#include <hsa/hsa_ext_amd.h>\n#include <hsa/amd_hsa_queue.h>\n\
         #include <hsa/amd_hsa_signal.h>\nint main(void) {\n",
    );
    for (name, _) in &expected {
        source += &format!("printf(\"%lld\\n\", (long long)({name}));\n");
    }
    source += "}\n";
    let folder = std::env::temp_dir().join(format!("hsasim-headers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (file, program) = (folder.join("headers.c"), folder.join("headers"));
    std::fs::write(&file, source).unwrap();
    let status = Command::new("cc")
        .arg("-o")
        .args([&program, &file])
        .status()
        .unwrap();
    assert!(status.success(), "the C program doesn't compile");
    let output = Command::new(&program).output().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let values: Vec<i64> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(values.len(), expected.len());
    for ((name, value), found) in expected.iter().zip(values) {
        assert_eq!(*value, found, "{name}");
    }
}
