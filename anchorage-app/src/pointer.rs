//! Pointers of the caller as references.

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
