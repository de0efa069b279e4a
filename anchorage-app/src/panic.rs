//! A static library has to have a panic handler. Nothing reaches it: `cargo xtask size` fails if it is linked.

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
