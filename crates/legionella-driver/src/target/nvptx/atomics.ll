; What the application sets (`legionella_abi::nvptx::HOST_ATOMICS`).
@legionella_host_atomics = addrspace(4) externally_initialized global i64 0, align 8
