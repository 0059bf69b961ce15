//! Who is to be put out: from the command line, a file, or standard input. A list is read whole or not at all, since
//! one that was half read would look whole.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use lockstep_offboard::Who;

use crate::exit::{Exit, Failure};

/// No list that a person made is larger.
const BYTES_MAX: u64 = 4 * 1024 * 1024;
/// So many bad lines are named one by one.
const NAMED_MAX: usize = 50;
/// Columns that name somebody, the surest first, with what stands before their values.
const COLUMNS: [(&str, &str); 8] = [
    ("who", ""),
    ("cardholder", "cardholder:"),
    ("directory", "directory:"),
    ("employee", "employee:"),
    ("upn", "upn:"),
    ("mail", "mail:"),
    ("account", "account:"),
    ("card", "card:"),
];

/// Everybody named, each once, in the order of their naming.
pub(super) fn named(who: &[String], from: Option<&Path>) -> Result<Vec<Who>, Failure> {
    let mut people = Vec::new();
    for text in who {
        people.push(sole(text).map_err(refused)?);
    }
    if let Some(path) = from {
        people.extend(listed(path)?);
    }
    let mut seen = BTreeSet::new();
    people.retain(|who: &Who| seen.insert(who.clone()));
    Ok(people)
}

/// Whether the list comes from standard input.
pub(super) fn is_stdin(from: Option<&Path>) -> bool {
    from == Some(Path::new("-"))
}

fn refused(what: String) -> Failure {
    Failure::new(Exit::Usage, what).not_done("nobody was put out")
}

fn listed(path: &Path) -> Result<Vec<Who>, Failure> {
    let name = if is_stdin(Some(path)) { "standard input".to_owned() } else { path.display().to_string() };
    let bytes = bytes(path).map_err(|error| refused(format!("{name} cannot be read: {error}")))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(refused(format!("{name} is larger than 4 MiB: that is no list of people")));
    }
    match parse(&bytes) {
        Ok(people) if people.is_empty() => Err(refused(format!("{name} names nobody"))),
        Ok(people) => Ok(people),
        Err(bad) => {
            let mut what = format!("{name}: {} of its lines name nobody:", bad.len());
            for (line, why) in bad.iter().take(NAMED_MAX) {
                let _ = write!(what, "\n  line {line}: {why}"); // writing to a String cannot fail
            }
            if bad.len() > NAMED_MAX {
                let _ = write!(what, "\n  and {} more", bad.len() - NAMED_MAX);
            }
            Err(refused(what).next("mend these lines, or take them out, then the same command again"))
        }
    }
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if is_stdin(Some(path)) {
        std::io::stdin().lock().take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Lines that name nobody, with their numbers.
type Bad = Vec<(u64, String)>;

/// A CSV when its first line names a column that we know; one WHO a line otherwise.
fn parse(bytes: &[u8]) -> Result<Vec<Who>, Bad> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.split(|byte| *byte == b'\n').count() as u64;
            return Err(vec![(line, "it is not UTF-8 text; save the file as UTF-8".to_owned())]);
        }
    };
    let first = text.lines().find(|line| !is_silent(line)).unwrap_or_default();
    let delimiter = [',', ';', '\t'].into_iter().find(|delimiter| first.contains(*delimiter)).unwrap_or(',');
    let is_header = first.split(delimiter).any(|cell| column(cell).is_some());
    if is_header { table(text, delimiter) } else { lines(text) }
}

/// Blank, or a comment.
fn is_silent(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// Which of the known columns a cell of the first line names.
fn column(cell: &str) -> Option<usize> {
    let name = cell.trim().trim_matches('"').trim().to_ascii_lowercase();
    COLUMNS.iter().position(|(known, _)| *known == name)
}

fn lines(text: &str) -> Result<Vec<Who>, Bad> {
    let lines = text.lines().enumerate().filter(|(_, line)| !is_silent(line));
    sorted(lines.map(|(index, line)| (index as u64 + 1, one(without_comment(line).trim()))))
}

fn one(text: &str) -> Result<Who, String> {
    let table = !text.contains(':') && text.contains([',', ';', '\t']);
    if table {
        let known = COLUMNS.map(|(name, _)| name).join(", ");
        return Err(format!("it looks like a line of a table, and the first line names no column of {known}"));
    }
    sole(text)
}

/// One person. Two on one line would be one person with a strange number, found nowhere.
fn sole(text: &str) -> Result<Who, String> {
    let is_kind = |word: &str| COLUMNS.iter().any(|(_, kind)| !kind.is_empty() && word.starts_with(kind));
    if text.split([',', ';', ' ', '\t']).skip(1).any(is_kind) {
        return Err("it names several people; each goes by itself, in a list on a line of its own".to_owned());
    }
    text.parse().map_err(|error: lockstep_offboard::WhoError| error.to_string())
}

/// What stands before a `#` that follows a blank.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices('#').find(|(at, _)| line[..*at].ends_with([' ', '\t']));
    comment.map_or(line, |(at, _)| &line[..at])
}

fn table(text: &str, delimiter: char) -> Result<Vec<Who>, Bad> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(u8::try_from(delimiter).unwrap_or(b','))
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| vec![(1, error.to_string())])?.clone();
    // The surest column that has a value names the person of a row.
    let mut columns: Vec<(usize, usize)> =
        headers.iter().enumerate().filter_map(|(index, cell)| column(cell).map(|known| (known, index))).collect();
    columns.sort_unstable();
    sorted(reader.records().enumerate().map(|(index, record)| match record {
        Err(error) => (error.position().map_or(index as u64 + 2, csv::Position::line), Err(error.to_string())),
        Ok(record) => {
            let line = record.position().map_or(index as u64 + 2, csv::Position::line);
            let value = |(known, index): &(usize, usize)| {
                record
                    .get(*index)
                    .filter(|value| !value.is_empty())
                    .map(|value| format!("{}{value}", COLUMNS[*known].1))
            };
            match columns.iter().find_map(value) {
                Some(text) => (line, sole(&text)),
                None => (line, Err("no column that names somebody has a value here".to_owned())),
            }
        }
    }))
}

/// Everybody, or every line that names nobody.
fn sorted(read: impl Iterator<Item = (u64, Result<Who, String>)>) -> Result<Vec<Who>, Bad> {
    let (mut people, mut bad) = (Vec::new(), Bad::new());
    for (line, who) in read {
        match who {
            Ok(who) => people.push(who),
            Err(why) => bad.push((line, why)),
        }
    }
    if bad.is_empty() { Ok(people) } else { Err(bad) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, Vec<u64>> {
        let names = |people: Vec<Who>| people.iter().map(ToString::to_string).collect();
        parse(text.as_bytes()).map(names).map_err(|bad| bad.into_iter().map(|(line, _)| line).collect())
    }

    #[test]
    fn a_list_has_one_person_a_line_with_comments_and_blank_lines() {
        let text =
            "\u{feff}# night shift\n\nemployee:1003 # theft\r\n  upn:b@x.example  \ndirectory:CN=Ada,OU=Lab\n1004\n";
        let read = read(text).expect("all lines read");
        assert_eq!(read, ["employee:1003", "upn:b@x.example", "directory:cn=ada,ou=lab", "1004"]);
    }

    #[test]
    fn a_table_names_people_by_its_surest_column() {
        let text = "Name,Mail,Employee\n# a comment\n\"Lovelace, Ada\",ada@x.example,1003\nBea,bea@x.example,\n";
        assert_eq!(read(text).expect("all lines read"), ["employee:1003", "mail:bea@x.example"]);
        assert_eq!(read("who;note\nemployee:7;theft\n").expect("read"), ["employee:7"]);
        assert_eq!(read("card\n26-771003\n").expect("read"), ["card:…1003"]);
    }

    #[test]
    fn every_line_that_names_nobody_is_named_and_nothing_else_is_read() {
        assert_eq!(read("employee:1\nbadge:2\nemployee:3\nemployee:*\n"), Err(vec![2, 4]));
        assert_eq!(read("employee:1, employee:2\nemployee:3\nemployee:4 card:5\n"), Err(vec![1, 3]), "two on a line");
        assert_eq!(read("who,name\n\"employee:1, employee:2\",x\n"), Err(vec![2]), "two in a cell");
        assert_eq!(read("employee,mail\n1,a@x\n,\n2,b@x\n"), Err(vec![3]));
        assert_eq!(read("employee,mail\n1,a@x\n2\n"), Err(vec![3]), "a line that was cut off");
        assert_eq!(read("badge,name\n1,Ada\n"), Err(vec![1, 2]), "no column that we know");
        assert_eq!(parse(b"employee:1\n\xff\n").expect_err("no text")[0].0, 2);
    }
}
