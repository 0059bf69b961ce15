//! Turns laws into the tests of a test program. This is the only module that prints, and it does so through the
//! test harness.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::bed::TargetBed;
use crate::directory::directory_laws;
use crate::directory_bed::DirectoryBed;
use crate::law::Outcome;
use crate::outcomes::leave_outcomes;
use crate::target::target_laws;

/// How long one law may take.
const LAW_TIME_MAX: Duration = Duration::from_secs(120);

/// The laws as tests, ready to run.
#[must_use = "a suite examines nothing until it is run"]
pub struct Suite {
    trials: Vec<Trial>,
    one_at_a_time: bool,
}

/// Every law for a target, as a test named `name::law`.
pub fn target(name: &str, bed: impl TargetBed + 'static) -> Suite {
    let one_at_a_time = bed.one_at_a_time();
    let bed: Arc<dyn TargetBed> = Arc::new(bed);
    let trials = target_laws()
        .iter()
        .map(|law| {
            let bed = Arc::clone(&bed);
            let suite = name.to_owned();
            Trial::ignorable_test(format!("{name}::{}", law.name), move || {
                completion(&suite, law.name, law.examine(&*bed))
            })
        })
        .collect();
    Suite { trials, one_at_a_time }
}

/// Every law for a directory, as a test named `name::law`.
pub fn directory(name: &str, bed: impl DirectoryBed + 'static) -> Suite {
    let one_at_a_time = bed.one_at_a_time();
    let bed: Arc<dyn DirectoryBed> = Arc::new(bed);
    let trials = directory_laws()
        .iter()
        .map(|law| {
            let bed = Arc::clone(&bed);
            let suite = name.to_owned();
            Trial::ignorable_test(format!("{name}::{}", law.name), move || {
                completion(&suite, law.name, law.examine(&*bed))
            })
        })
        .collect();
    Suite { trials, one_at_a_time }
}

impl Suite {
    /// Adds the tests of another suite to this one: one program may examine several beds.
    pub fn and(mut self, other: Self) -> Self {
        self.trials.extend(other.trials);
        self.one_at_a_time |= other.one_at_a_time;
        self
    }

    /// Runs the tests with the arguments of the program, as any Rust test program does.
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        if self.one_at_a_time && arguments.test_threads.is_none() {
            arguments.test_threads = Some(1);
        }
        let conclusion = libtest_mimic::run(&arguments, self.trials);
        for (suite, outcomes) in std::mem::take(&mut *noted()) {
            leave_outcomes(&suite, outcomes);
        }
        conclusion.exit_code()
    }
}

/// What became of each law, by suite: the harness runs them on threads of its own.
fn noted() -> MutexGuard<'static, BTreeMap<String, Vec<(String, Outcome)>>> {
    static NOTED: Mutex<BTreeMap<String, Vec<(String, Outcome)>>> = Mutex::new(BTreeMap::new());
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn completion(suite: &str, name: &str, law: impl Future<Output = Outcome>) -> Result<Completion, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::from(format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(async { tokio::time::timeout(LAW_TIME_MAX, law).await });
    let hangs = || Outcome::Broken(format!("no result after {} s: a call hangs", LAW_TIME_MAX.as_secs()));
    let outcome = outcome.unwrap_or_else(|_| hangs());
    noted().entry(suite.to_owned()).or_default().push((format!("law: {name}"), outcome.clone()));
    match outcome {
        Outcome::Kept => Ok(Completion::Completed),
        Outcome::Skipped(why) if why.trim().is_empty() => Err(Failed::from("skipped without a reason")),
        Outcome::Skipped(why) => Ok(Completion::ignored_with(why)),
        Outcome::Broken(how) => Err(Failed::from(how)),
    }
}
