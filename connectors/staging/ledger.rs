//! What was delivered and is not proved yet: one manifest for each delivery, outside the drop folder, durable before
//! anything is dropped. It is how a later process knows what an older one handed over.
//!
//! While a delivery is open its manifest holds the person as they are to be; once it is proved, only names and sums stay.

use std::fs::{self, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use lockstep_contract::{ActionId, Cardholder, CardholderId, RunId, Step, sha256_hex};
use serde::{Deserialize, Serialize};

/// One delivery: all that one action made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its name: a part of every file name, and the name of its manifest.
    pub name: String,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The action.
    pub action: ActionId,
    /// Whom it is about.
    pub person: CardholderId,
    /// When it was prepared, by the clock of this machine.
    pub prepared: Timestamp,
    /// When it was there to be taken, by the clock of the share or database; before that, nothing was handed over.
    pub handed_over: Option<Timestamp>,
    /// By how many milliseconds that clock is ahead of ours.
    pub clock_ahead_ms: i64,
    /// When it was seen to be taken, by that clock.
    pub taken: Option<Timestamp>,
    /// What the importer said was wrong.
    pub rejected: Option<String>,
    /// The files or rows, in the order of delivery.
    pub items: Vec<Item>,
    /// How it ended; `None` while it is open.
    pub closed: Option<Closed>,
    /// The person as they are to be, and the steps; only while it is open.
    pub target: Option<Cardholder>,
    /// See `target`.
    pub steps: Vec<Step>,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closed {
    /// A reading that is newer than it tells what became of it.
    Answered,
    /// It was taken back before the importer took it: something that takes access away came after it.
    Withdrawn,
    /// It never left this machine.
    NotSent,
}

/// One file, or one row of an outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The name of the file, or the number of the row.
    pub name: String,
    /// Its sum.
    pub sha256: String,
    /// How many rows it has.
    pub rows: usize,
    /// The keys of the people in it.
    pub keys: Vec<CardholderId>,
}

/// The folder of manifests.
#[derive(Debug)]
pub(crate) struct Ledger {
    open: PathBuf,
    closed: PathBuf,
    site: String,
    next: AtomicU64,
}

impl Ledger {
    /// The ledger in this folder, which is made where it is missing.
    pub(crate) fn new(folder: &Path, site: &str) -> Result<Self> {
        let (open, closed) = (folder.join("open"), folder.join("closed"));
        for folder in [&open, &closed] {
            fs::create_dir_all(folder)?;
            private(folder)?;
        }
        Ok(Self { open, closed, site: site.to_owned(), next: AtomicU64::new(1) })
    }

    /// A new delivery with a name that nobody else has, its manifest on the disk.
    pub(crate) fn begin(&self, mut delivery: Delivery) -> Result<Delivery> {
        let stamp = delivery.prepared.strftime("%Y%m%dT%H%M%SZ").to_string();
        loop {
            let nth = self.next.fetch_add(1, Ordering::Relaxed);
            delivery.name = format!("{stamp}-{nth:04}");
            match self.write_new(&delivery) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(delivery),
            }
        }
    }

    fn path(&self, delivery: &Delivery) -> PathBuf {
        self.open.join(format!("{}{}.json", self.prefix(&delivery.person), delivery.name))
    }

    /// Manifests of one person begin alike, so that they are found without reading the others.
    fn prefix(&self, person: &CardholderId) -> String {
        let digest = sha256_hex(person.as_str().as_bytes());
        format!("lockstep-{}-{}-", self.site, digest.get(..12).unwrap_or(&digest))
    }

    fn write_new(&self, delivery: &Delivery) -> Result<()> {
        // The name is taken once for all people: files of two deliveries must not be called the same.
        let day = self.day(delivery)?;
        let claim = day.join(format!("{}.claim", delivery.name));
        OpenOptions::new().write(true).create_new(true).open(&claim)?;
        let taken = named(&self.open, &delivery.name).and_then(|open| Ok(open || named(&day, &delivery.name)?));
        let written = match taken {
            Ok(true) => Err(ErrorKind::AlreadyExists.into()),
            Ok(false) => write_file(&self.path(delivery), delivery),
            Err(error) => Err(error),
        };
        let _ = fs::remove_file(&claim);
        written
    }

    /// The folder of what was prepared on one day and is closed. Old ones may be removed.
    fn day(&self, delivery: &Delivery) -> Result<PathBuf> {
        let day = self.closed.join(delivery.prepared.strftime("%Y-%m-%d").to_string());
        fs::create_dir_all(&day)?;
        Ok(day)
    }

    /// Brings a manifest up to date. What is closed moves to the other folder and forgets the person.
    pub(crate) fn update(&self, delivery: &Delivery) -> Result<()> {
        let path = self.path(delivery);
        if delivery.closed.is_none() {
            return write_file(&path, delivery);
        }
        let rest = Delivery { target: None, steps: Vec::new(), ..delivery.clone() };
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        write_file(&self.day(delivery)?.join(name), &rest)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The open deliveries about one person, oldest first.
    pub(crate) fn open_for(&self, person: &CardholderId) -> Result<Vec<Delivery>> {
        let mut all = self.read(Some(&self.prefix(person)))?;
        all.retain(|delivery| delivery.person == *person);
        Ok(all)
    }

    /// All open deliveries, oldest first.
    pub(crate) fn all_open(&self) -> Result<Vec<Delivery>> {
        self.read(None)
    }

    fn read(&self, prefix: Option<&str>) -> Result<Vec<Delivery>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.open)? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            let mine =
                name.strip_suffix(".json").is_some_and(|name| prefix.is_none_or(|prefix| name.starts_with(prefix)));
            if !mine {
                continue;
            }
            match fs::read(self.open.join(&name)) {
                // Another process closed it meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(bytes) => {
                    let unreadable = |error| Error::other(format!("the manifest {name} cannot be read: {error}"));
                    all.push(serde_json::from_slice(&bytes).map_err(unreadable)?);
                }
            }
        }
        all.sort_by(|a: &Delivery, b: &Delivery| (a.prepared, &a.name).cmp(&(b.prepared, &b.name)));
        Ok(all)
    }

    /// What is remembered under this name: the row counts of the last export that was believed.
    pub(crate) fn memory(&self, name: &str) -> PathBuf {
        self.closed.with_file_name(name)
    }
}

/// Whether a manifest in this folder has this name.
fn named(folder: &Path, name: &str) -> Result<bool> {
    let ending = format!("-{name}.json");
    for entry in fs::read_dir(folder)? {
        if entry?.file_name().to_string_lossy().ends_with(&ending) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes a file beside, then renames it: nobody ever reads half of it.
pub(crate) fn write_file(path: &Path, value: &impl Serialize) -> Result<()> {
    static NTH: AtomicU64 = AtomicU64::new(0);
    let bytes = serde_json::to_vec_pretty(value).map_err(Error::other)?;
    let nth = NTH.fetch_add(1, Ordering::Relaxed);
    let beside = path.with_extension(format!("{}-{nth}.tmp", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    if let Some(folder) = path.parent() {
        let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

/// Manifests name people: nobody else on this machine needs them.
fn private(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
