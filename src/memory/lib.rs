//! The allocator of the program. Reading both sides makes and drops millions of small values on several threads: with
//! this one that costs half of what it does with the usual ones, and leaves less memory in pieces.
//!
//! A crate of its own, because one setting of it can only be changed by a call into C. Nothing else may move in here.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` in mimalloc.h, for which the bindings have no name.
const PURGE_DELAY: mi_option_t = 15;
/// A hundredth of what is usual: a plan of 100,000 people then needs a third less memory, and no more time.
const PURGE_DELAY_MS: c_long = 10;

/// From now on memory that is not used goes back to the system after some milliseconds.
pub fn give_back_soon() {
    #[expect(unsafe_code, reason = "the allocator has no other door to its settings")]
    // SAFETY: it takes two numbers by value, stores the second in a table of its own, and may be called at any time.
    unsafe {
        mi_option_set(PURGE_DELAY, PURGE_DELAY_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay() -> c_long {
        #[expect(unsafe_code, reason = "the allocator has no other door to its settings")]
        // SAFETY: it takes a number and returns one.
        unsafe {
            libmimalloc_sys::mi_option_get(PURGE_DELAY)
        }
    }

    #[test]
    fn the_setting_is_the_one_that_is_meant() {
        assert_eq!(delay(), 1_000, "the usual delay; another number here means that the settings have moved");
        give_back_soon();
        assert_eq!(delay(), PURGE_DELAY_MS);
    }
}
