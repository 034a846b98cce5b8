//! Reads instructions that are neither arithmetic nor accesses: branches, waits, caches, clocks, hardware registers.

use super::build::Builder;
use super::instruction::{Condition, Hardware, HardwareField, Kind};
use super::operand::Operand;
use super::text::number;

/// Reads an instruction of some names.
type Read = fn(&mut Builder<'_>) -> Result<Kind, String>;

/// The instructions, and how they are read.
const CONTROL: &[(&[&str], Read)] = &[
    (
        &[
            "s_nop",
            "s_delay_alu",
            "s_clause",
            "s_set_inst_prefetch_distance",
            "s_icache_inv",
            "s_dcache_inv",
            "s_dcache_wb",
            "s_setprio",
            "s_sendmsg",
            "s_ttracedata",
            "s_ttracedata_imm",
            "s_sendmsghalt",
            "s_wait_idle",
            "s_waitcnt_depctr",
            "s_waitcnt_expcnt",
            "s_version",
            "s_incperflevel",
            "s_decperflevel",
            "s_wakeup",
            "s_gl1_inv",
            "s_wait_event",
            "v_nop",
            "ds_nop",
            // The cache that a work-group's waves have in common.
            "buffer_gl0_inv",
        ],
        |_| Ok(Kind::Nothing),
    ),
    // With `sc1`, the cache that work-groups of the device have in common (LLVM, AMDGPU usage, "Memory Model").
    (&["buffer_wbl2"], |builder| {
        let needed = builder.says("sc1");
        Ok(if needed {
            Kind::WriteBack
        } else {
            Kind::Nothing
        })
    }),
    (&["buffer_inv"], |builder| {
        let needed = builder.says("sc1");
        Ok(if needed {
            Kind::Invalidate
        } else {
            Kind::Nothing
        })
    }),
    (
        &[
            "buffer_gl1_inv",
            "buffer_wbinvl1",
            "buffer_wbinvl1_vol",
            "buffer_invl2",
        ],
        |_| Ok(Kind::Invalidate),
    ),
    (&["s_branch"], |builder| builder.branch(Condition::Always)),
    (&["s_cbranch_scc0"], |builder| {
        builder.branch(Condition::Scc(false))
    }),
    (&["s_cbranch_scc1"], |builder| {
        builder.branch(Condition::Scc(true))
    }),
    (&["s_cbranch_vccz"], |builder| {
        builder.branch(Condition::VccZero(true))
    }),
    (&["s_cbranch_vccnz"], |builder| {
        builder.branch(Condition::VccZero(false))
    }),
    (&["s_cbranch_execz"], |builder| {
        builder.branch(Condition::ExecZero(true))
    }),
    (&["s_cbranch_execnz"], |builder| {
        builder.branch(Condition::ExecZero(false))
    }),
    (&["s_barrier"], |_| Ok(Kind::Barrier)),
    (&["s_endpgm"], |_| Ok(Kind::End)),
    (&["s_trap"], |builder| {
        Ok(Kind::Trap(builder.immediate(0)? as u32))
    }),
    (&["s_sleep"], |_| Ok(Kind::Sleep)),
    (&["s_waitcnt"], |builder| builder.wait()),
    (&["s_waitcnt_vmcnt"], |builder| {
        let count = builder.count()?;
        Ok(waiting(Some(count), None, None))
    }),
    (&["s_waitcnt_lgkmcnt"], |builder| {
        let count = builder.count()?;
        Ok(waiting(None, Some(count), None))
    }),
    (&["s_waitcnt_vscnt"], |builder| {
        let count = builder.count()?;
        Ok(waiting(None, None, Some(count)))
    }),
    (&["s_getpc_b64"], |builder| {
        builder.destination(0, 2)?;
        Ok(Kind::GetPc)
    }),
    (&["s_setpc_b64"], |builder| {
        builder.instruction.sources[0] = builder.scalar_operand(0, 2)?;
        Ok(Kind::SetPc)
    }),
    (&["s_swappc_b64"], |builder| {
        builder.destination(0, 2)?;
        builder.instruction.sources[0] = builder.scalar_operand(1, 2)?;
        Ok(Kind::SwapPc)
    }),
    (&["s_call_b64"], |builder| {
        builder.destination(0, 2)?;
        Ok(Kind::Call(builder.target(1)?))
    }),
    (&["s_memtime"], |builder| {
        builder.destination(0, 2)?;
        Ok(Kind::Time { real: false })
    }),
    (&["s_memrealtime"], |builder| {
        builder.destination(0, 2)?;
        Ok(Kind::Time { real: true })
    }),
    (&["s_sendmsg_rtn_b64"], |builder| {
        if !builder.text.contains("MSG_RTN_GET_REALTIME") {
            return Err("the message".into());
        }
        builder.destination(0, 2)?;
        Ok(Kind::Time { real: true })
    }),
    (&["s_getreg_b32"], |builder| {
        builder.destination(0, 1)?;
        Ok(Kind::GetRegister(builder.hardware(1)?))
    }),
    (&["s_setreg_b32", "s_setreg_imm32_b32"], |builder| {
        builder.instruction.sources[0] = builder.scalar_operand(1, 1)?;
        Ok(Kind::SetRegister(builder.hardware(0)?))
    }),
    (&["s_round_mode"], |builder| builder.mode(0)),
    (&["s_denorm_mode"], |builder| builder.mode(4)),
];

/// The mnemonics.
pub fn names() -> impl Iterator<Item = &'static str> {
    CONTROL.iter().flat_map(|(names, _)| names.iter().copied())
}

fn waiting(vector: Option<u8>, local: Option<u8>, store: Option<u8>) -> Kind {
    Kind::Wait {
        vector,
        local,
        store,
    }
}

impl Builder<'_> {
    /// An instruction of these, if it is one.
    pub(super) fn control(&mut self, name: &str) -> Result<Option<Kind>, String> {
        let read = CONTROL.iter().find(|(names, _)| names.contains(&name));
        read.map(|(_, read)| read(self)).transpose()
    }

    /// Whether a word stands behind the mnemonic.
    fn says(&self, word: &str) -> bool {
        self.text.split_whitespace().any(|other| other == word)
    }

    fn branch(&self, condition: Condition) -> Result<Kind, String> {
        Ok(Kind::Branch {
            condition,
            target: self.target(0)?,
        })
    }

    fn target(&self, index: usize) -> Result<u32, String> {
        let distance = self.immediate(index)? as i16;
        self.instruction
            .next
            .checked_add_signed(i32::from(distance))
            .ok_or_else(|| format!("it leads out of the code from slot {}", self.slot))
    }

    fn count(&self) -> Result<u8, String> {
        self.immediate(1).map(|count| count as u8)
    }

    fn wait(&self) -> Result<Kind, String> {
        let first = self.line.operands.first();
        if first.is_some_and(|text| number(text) == Some(0)) {
            return Ok(waiting(Some(0), Some(0), None));
        }
        let count = |counter: &str| {
            let (_, rest) = self.text.split_once(counter)?;
            let (digits, _) = rest.strip_prefix('(')?.split_once(')')?;
            digits.parse().ok()
        };
        Ok(waiting(count("vmcnt"), count("lgkmcnt"), None))
    }

    /// Writes four bits of the modes.
    fn mode(&mut self, offset: u8) -> Result<Kind, String> {
        self.instruction.sources[0] = Operand::Constant(self.immediate(0)? as u64);
        Ok(Kind::SetRegister(HardwareField {
            register: Hardware::Mode,
            offset,
            bits: 4,
        }))
    }

    fn hardware(&self, index: usize) -> Result<HardwareField, String> {
        let text = self.line.operands.get(index).copied().unwrap_or_default();
        let unknown = || format!("the hardware register {text}");
        let inner = text
            .strip_prefix("hwreg(")
            .and_then(|inner| inner.strip_suffix(')'))
            .ok_or_else(unknown)?;
        let mut parts = inner.split(',').map(str::trim);
        let register = match parts.next() {
            Some("HW_REG_MODE") => Hardware::Mode,
            Some("HW_REG_HW_ID" | "HW_REG_HW_ID1" | "HW_REG_HW_ID2" | "HW_REG_XCC_ID") => {
                Hardware::Id
            }
            Some("HW_REG_SHADER_CYCLES") => Hardware::Cycles,
            _ => return Err(unknown()),
        };
        let mut field = |default| match parts.next() {
            Some(text) => number(text).map(|value| value as u8).ok_or_else(unknown),
            None => Ok(default),
        };
        Ok(HardwareField {
            register,
            offset: field(0)?,
            bits: field(32)?,
        })
    }
}
