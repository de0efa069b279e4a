//! Pointers of the caller as references, and memory of the caller that holds what was opened in it.

use crate::values::CResult;

/// What a pointer points to; `None` if it is null or not aligned.
///
/// # Safety
/// Any other pointer points to a `T` that nobody writes to while the reference lives.
pub(crate) unsafe fn shared<'a, T>(pointer: *const T) -> Option<&'a T> {
    if !pointer.is_aligned() {
        return None;
    }
    // SAFETY: aligned; null is `None`; the rest is the caller's promise.
    unsafe { pointer.as_ref() }
}

/// A pointer to write a whole `T` through, which may not be one yet.
pub(crate) fn is_writable<T>(pointer: *mut T) -> bool {
    !pointer.is_null() && pointer.is_aligned()
}

/// Memory of the caller, with what was opened in it. `MARK` says that it was, and what.
#[repr(C)]
pub struct Open<T, const MARK: u32> {
    mark: u32,
    content: T,
}

impl<T, const MARK: u32> Open<T, MARK> {
    /// Whoever looks meanwhile finds nothing open.
    ///
    /// # Safety
    /// `place` is writable ([`is_writable`]), and nobody else uses it meanwhile.
    pub(crate) unsafe fn close(place: *mut Self) {
        // SAFETY: memory of the caller, and of any content.
        unsafe { (&raw mut (*place).mark).write(0) }
    }

    /// # Safety
    /// As for [`Self::close`].
    pub(crate) unsafe fn open(place: *mut Self, content: T) {
        // SAFETY: as there.
        unsafe { place.write(Self { mark: MARK, content }) }
    }

    /// What is open at a pointer.
    ///
    /// # Errors
    /// [`CResult::Pointer`] for none, or one that is not aligned; [`CResult::NotOpen`]
    ///
    /// # Safety
    /// A pointer that is not null and aligned points to memory for a `Self` that nobody else uses meanwhile.
    pub(crate) unsafe fn at<'a>(place: *mut Self) -> Result<&'a mut T, CResult> {
        if !is_writable(place) {
            return Err(CResult::Pointer);
        }
        // SAFETY: not null, aligned, and memory of the caller, which is initialised: a header promise.
        if unsafe { (&raw const (*place).mark).read() } != MARK {
            return Err(CResult::NotOpen);
        }
        // SAFETY: the word says that `open` wrote it.
        Ok(unsafe { &mut (*place).content })
    }
}
