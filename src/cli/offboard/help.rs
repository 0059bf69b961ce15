//! What `offboard --help` says below the options.

/// Below the options: what a person in a hurry does not read, and a person who prepares does.
pub(super) const LONG: &str = "\
The cardholder, every credential and the managed access levels are switched off and read back. It works with the \
directory down, the state gone, an apply running, guards tripped, the disk full or read-only, and any PACS dead. Whoever \
is put out stays out until `lockstep reinstate` lifts that by name.

WHO is employee:10482, upn:jdoe@corp.example, mail:…, account:…, card:26-1234, directory:ID, cardholder:hq/5871, or a bare \
value that means exactly one person. All but employee, directory and cardholder may be different people's on two PACS: what \
they have is looked at together, two seconds at most, and where the person is not found by it they are looked for by the \
other keys of the records found, but never by card. When it is not clear who is meant, the records are listed and nothing \
is done to them; --all takes every one that was found by WHO.

A list (--from FILE) has one WHO a line; `#` at its start or after a blank begins a comment, blank lines are skipped. A CSV works, too, when its first \
line names a column who, cardholder, directory, employee, upn, mail, account or card; of several, the surest that has a \
value counts. When any line names nobody, every such line is named and nobody is put out.

Second operator: one operator may put `offboard_per_hour` people (10) out within an hour. When more are named, that many \
go at once, in the order in which they are named, and the rest wait for --second NAME, which is asked for on a terminal. \
The same person again does not count again, and neither does whoever was found nowhere or not clear. An empty --second \
counts as none.

Exit codes: 0 out everywhere, read back and on record; 1 found nowhere; 3 a second name is needed and nobody was put out; \
4 done in part: what is open is named, and is tried again by every later run and by `offboard --settle`.";
