//! The heap of a process that will idle for weeks.

/// Gives freed heap pages back to the kernel (malloc_trim(3)).
pub fn trim() {
    // SAFETY: malloc_trim only releases memory that the allocator knows to be free.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
