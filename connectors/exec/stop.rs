//! How a program is ended, with whatever it has started itself. The one place that knows operating systems.

use std::process::{Child, Command};

/// Lets it be ended together with what it starts.
#[cfg(unix)]
pub(crate) fn prepare(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

/// Ends it, and what it has started.
#[cfg(unix)]
pub(crate) fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // Nobody is left in it: that is what is wanted.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
}

/// Waits until it has ended; false where that cannot be seen. Whoever asks for its exit status still gets it.
#[cfg(unix)]
pub(crate) fn await_exit(id: u32) -> bool {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return false };
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {}
    true
}

#[cfg(not(unix))]
pub(crate) const fn await_exit(_: u32) -> bool {
    false
}

#[cfg(not(unix))]
pub(crate) fn prepare(_: &mut Command) {}

#[cfg(not(unix))]
pub(crate) fn end(child: &mut Child) {
    let _ = child.kill();
}
