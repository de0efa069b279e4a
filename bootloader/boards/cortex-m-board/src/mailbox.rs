//! The mailbox of loader and application (docs/mailbox.md), where its board has it.

use bootloader::mailbox::{ALIVE, ALIVE_OFFSET, MAILBOX_LEN, REQUEST_LEN, Request};

use crate::retained::Retained;

/// A mailbox.
#[derive(Debug)]
pub struct Mailbox {
    whole: Retained<MAILBOX_LEN>,
    request: Retained<REQUEST_LEN>,
    life: Retained<{ ALIVE.len() }>,
}

impl Mailbox {
    /// The mailbox at this address.
    ///
    /// # Safety
    /// [`MAILBOX_LEN`] bytes of RAM that no linker script gives to anything else; the address is a multiple of 4.
    #[must_use]
    pub const unsafe fn at(address: usize) -> Self {
        // SAFETY: the caller vouches for the mailbox; the others are parts of it, whole words.
        unsafe {
            Self {
                whole: Retained::at(address),
                request: Retained::at(address),
                life: Retained::at(address + ALIVE_OFFSET),
            }
        }
    }

    /// The content.
    #[must_use]
    pub fn get(&self) -> [u8; MAILBOX_LEN] {
        self.whole.get()
    }

    /// Leaves a content for after the reset or the jump.
    pub fn put(&self, content: &[u8; MAILBOX_LEN]) {
        self.whole.put(content);
    }

    /// Leaves a request of the application for the loader.
    pub fn ask(&self, request: Request) {
        self.request.put(&request.encode());
    }

    /// The application's sign of life.
    pub fn say_alive(&self) {
        self.life.put(&ALIVE);
    }
}
