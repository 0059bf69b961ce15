//! A small disk for one folder: a tmpfs mounted over it, with what is in it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lane::copy_folder;

/// How large it is: the state and some.
const SIZE: &str = "4m";
/// What fills it.
const FILLER: &str = "filler";

/// A mounted folder. What it holds is written back when it is given back.
pub(crate) struct Small {
    folder: PathBuf,
}

impl Small {
    /// Mounts, or says why that is refused.
    pub(crate) fn mount(folder: &Path) -> Result<Self, String> {
        let aside = folder.with_extension("aside");
        copy_folder(folder, &aside);
        let mounted = tool("mount", &["-t", "tmpfs", "-o", &format!("size={SIZE}"), "none"], folder);
        if mounted.is_ok() {
            copy_folder(&aside, folder);
        }
        fs::remove_dir_all(&aside).expect("removed");
        mounted.map(|()| Self { folder: folder.to_owned() })
    }

    /// Not a byte more.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.folder.join(FILLER)).expect("a file");
        for size in [65_536, 4_096, 1] {
            while file.write_all(&vec![b'.'; size]).is_ok() {}
        }
    }

    /// Nothing can be written any more.
    pub(crate) fn lock(&self) {
        tool("mount", &["-o", "remount,ro"], &self.folder).expect("remounted");
    }

    /// The folder is an ordinary one again, with what is in it by now.
    pub(crate) fn give_back(self) {
        tool("mount", &["-o", "remount,rw"], &self.folder).expect("remounted");
        let _ = fs::remove_file(self.folder.join(FILLER));
        let aside = self.folder.with_extension("aside");
        copy_folder(&self.folder, &aside);
        tool("umount", &["-l"], &self.folder).expect("unmounted");
        fs::remove_dir_all(&self.folder).and_then(|()| fs::rename(aside, &self.folder)).expect("put back");
    }
}

fn tool(program: &str, args: &[&str], folder: &Path) -> Result<(), String> {
    let done = Command::new(program).args(args).arg(folder).output().map_err(|error| error.to_string())?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()) }
}
