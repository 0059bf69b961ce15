//! Collecting findings, bounded: a million findings of one kind help nobody.

use std::collections::BTreeMap;

use crate::{Code, Finding};

/// So many findings of one code are told one by one.
const ONE_BY_ONE: usize = 1_000;

/// Findings by code.
#[derive(Debug, Default)]
pub(super) struct Notes {
    by_code: BTreeMap<Code, Pile>,
}

#[derive(Debug, Default)]
struct Pile {
    findings: Vec<Finding>,
    more: u64,
}

/// The words of a finding.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) subject: String,
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
}

impl Notes {
    /// Takes a finding; its words are only made when they will be read.
    pub(super) fn add(&mut self, code: Code, words: impl FnOnce() -> Words) {
        let pile = self.by_code.entry(code).or_default();
        if pile.findings.len() >= ONE_BY_ONE {
            pile.more += 1;
            return;
        }
        let Words { subject, message, help } = words();
        pile.findings.push(Finding { code, subject, message, help: help.map(str::to_owned) });
    }

    /// Takes over those of others.
    pub(super) fn join(&mut self, others: Self) {
        for (code, Pile { findings, more }) in others.by_code {
            let pile = self.by_code.entry(code).or_default();
            let room = ONE_BY_ONE.saturating_sub(pile.findings.len());
            pile.more += more + findings.len().saturating_sub(room) as u64;
            pile.findings.extend(findings.into_iter().take(room));
        }
    }

    /// The most severe first, then by code and subject.
    pub(super) fn finish(self) -> Vec<Finding> {
        let mut piles: Vec<_> = self.by_code.into_iter().collect();
        piles.sort_by_key(|(code, _)| (std::cmp::Reverse(code.severity()), *code));
        let mut all = Vec::new();
        for (code, Pile { mut findings, more }) in piles {
            findings.sort();
            findings.dedup();
            all.extend(findings);
            if more > 0 {
                all.push(Finding {
                    code,
                    subject: format!("and {more} more"),
                    message: format!("{}: {more} more than are told one by one", code.title()),
                    help: None,
                });
            }
        }
        all
    }
}
