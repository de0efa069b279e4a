//! Copying, filling and comparing memory, in few instructions: what the compiler calls for arrays and structures (Run-time
//! ABI for the Arm Architecture, section 4.3.4). Those of compiler_builtins are faster and take 1.7 KB more.
//!
//! In assembly: written in Rust, the compiler would make calls of these functions out of their loops.

/// `r0`: to, `r1`: from, `r2`: bytes; regions may overlap. Leaves `r0` as it is.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memmove() {
    core::arch::naked_asm!(
        "cmp r0, r1",
        "bls {forwards}",
        "0: subs r2, #1",
        "it mi",
        "bxmi lr",
        "ldrb r3, [r1, r2]",
        "strb r3, [r0, r2]",
        "b 0b",
        forwards = sym memcpy,
    )
}

/// As [`memmove`], regions do not overlap, or `r0` lies below `r1`. Words first, of any alignment: Armv7-M and later
/// take them in normal memory (A3.2.1), and points of a curve are copied a third as long.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcpy() {
    core::arch::naked_asm!(
        "mov r12, r0",
        "b 1f",
        "0: ldr r3, [r1], #4",
        "str r3, [r12], #4",
        "1: subs r2, #4",
        "bpl 0b",
        "adds r2, #4",
        "b 3f",
        "2: ldrb r3, [r1], #1",
        "strb r3, [r12], #1",
        "3: subs r2, #1",
        "bpl 2b",
        "bx lr",
    )
}

/// `r0`: where, `r1`: byte, `r2`: how many. Leaves `r0` as it is.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memset() {
    core::arch::naked_asm!("b 1f", "0: strb r1, [r0, r2]", "1: subs r2, #1", "bpl 0b", "bx lr")
}

/// `r0`, `r1`: what is compared, `r2`: bytes; the difference of the first bytes that differ, else 0.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcmp() {
    core::arch::naked_asm!(
        "mov r12, r0",
        "movs r0, #0",
        "0: subs r2, #1",
        "it mi",
        "bxmi lr",
        "ldrb r0, [r12], #1",
        "ldrb r3, [r1], #1",
        "subs r0, r0, r3",
        "beq 0b",
        "bx lr",
    )
}

/// As [`memset`] with the last two arguments exchanged.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn __aeabi_memset() {
    core::arch::naked_asm!("mov r3, r1", "mov r1, r2", "mov r2, r3", "b {set}", set = sym memset)
}

/// `r0`: where, `r1`: how many zeros.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn __aeabi_memclr() {
    core::arch::naked_asm!("mov r2, r1", "movs r1, #0", "b {set}", set = sym memset)
}

/// The same function under the names for aligned regions.
macro_rules! also {
    ($($name:ident = $function:ident;)*) => {
        $(
            #[unsafe(no_mangle)]
            #[unsafe(naked)]
            unsafe extern "C" fn $name() {
                core::arch::naked_asm!("b {function}", function = sym $function)
            }
        )*
    };
}

also! {
    __aeabi_memcpy = memcpy;
    __aeabi_memcpy4 = memcpy;
    __aeabi_memcpy8 = memcpy;
    __aeabi_memmove = memmove;
    __aeabi_memmove4 = memmove;
    __aeabi_memmove8 = memmove;
    __aeabi_memset4 = __aeabi_memset;
    __aeabi_memset8 = __aeabi_memset;
    __aeabi_memclr4 = __aeabi_memclr;
    __aeabi_memclr8 = __aeabi_memclr;
}
