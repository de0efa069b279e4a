//! Names for the registers of this part, a block each.

/// Registers of a block: `NAME = offset;`.
macro_rules! registers {
    ($base:literal: $($name:ident = $offset:literal;)*) => {
        $(
            #[allow(clippy::undocumented_unsafe_blocks, reason = "clippy does not see the comment in a macro")]
            const $name: cortex_m_board::mmio::Register = {
                // SAFETY: a register of this part (RM0440, register map of the block); only one module writes it, with
                // values that the manual permits.
                unsafe { cortex_m_board::mmio::Register::at($base + $offset) }
            };
        )*
    };
}

pub(crate) use registers;
