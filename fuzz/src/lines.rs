//! The folder of a production line as it comes back from the line: its list and its log, and cells that a spreadsheet wrote.
//! What is read is written as it was read, and no cell that is written begins like a formula.

use device_lists::{Entry, Head, Log, guarded, line_of, read_list, unguarded, write_list};

/// Of the list to which the logs belong.
const LIST_SHA256: [u8; 32] = [7; 32];

fn cell(text: &str) {
    let cell = guarded(text);
    assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
    assert_eq!(unguarded(&cell), text);
}

fn log_of(entries: &[Entry]) -> Vec<u8> {
    let mut log = line_of(&Head::new("2026-11-27T10:00:00Z".to_owned(), LIST_SHA256)).unwrap();
    entries.iter().for_each(|entry| log.extend(line_of(entry).unwrap()));
    log
}

/// The bytes as a list, as a log, as a log behind its first line, and as a cell.
pub(crate) fn line(data: &[u8]) -> bool {
    std::str::from_utf8(data).into_iter().for_each(cell);
    let list = read_list(data);
    if let Ok(rows) = &list {
        let again = read_list(&write_list(rows.iter().map(|(_, row)| row)).unwrap()).unwrap();
        assert!(again.iter().map(|(_, row)| row).eq(rows.iter().map(|(_, row)| row)));
        let lines = most_lines(data);
        assert!(rows.iter().all(|(line, _)| *line <= lines) && rows.is_sorted_by_key(|(line, _)| *line));
    }
    let behind_a_head = [log_of(&[]), data.to_vec()].concat();
    let logs = [data, &behind_a_head].map(read_log);
    for (log, len) in logs.iter().zip([data.len(), behind_a_head.len()]) {
        let Some((entries, [whole, torn])) = log else { continue };
        assert_eq!(whole + torn, len as u64);
        assert_eq!(read_log(&log_of(entries)), Some((entries.clone(), [log_of(entries).len() as u64, 0])));
    }
    let [log, behind] = logs;
    // A last line without its end counts for nothing.
    list.is_ok() || log.is_some() || behind.is_some_and(|(entries, _)| !entries.is_empty())
}

/// The entries of a log, the bytes of its whole lines, and of the last one.
fn read_log(data: &[u8]) -> Option<(Vec<Entry>, [u64; 2])> {
    let mut log = Log::begin(data, LIST_SHA256).ok()?;
    let entries = log.by_ref().map(|entry| Some(entry.ok()?.1)).collect::<Option<_>>()?;
    Some((entries, [log.whole_len(), log.torn_len()]))
}

/// Lines of a file, one ended by each kind of break at most.
fn most_lines(data: &[u8]) -> u64 {
    data.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count() as u64 + 1
}

pub(crate) fn line_seeds() -> Vec<Vec<u8>> {
    let list = "serial,node_address,vendor,class,device,block,block_sha256,credential,kid,key_check\n";
    let row = |serial: &str| {
        let uuid = "01010101-0101-0101-0101-010101010101";
        format!(
            "{serial},17,{uuid},{uuid},{uuid},{serial}.block,{},{serial}.cwt,0011223344556677,\n",
            "04".repeat(32)
        )
    };
    let entry = |result: &str| {
        format!(
            r#"{{"time":"2026-11-27T10:01:00Z","result":"{result}","serial":"A","node_address":17,"vendor":"v","class":"c","device":"d","kid":null,"block_sha256":"00"}}"#
        ) + "\n"
    };
    let entries = entry("begun") + &entry("provisioned");
    vec![
        (list.to_owned() + &row("A") + &row("'=B")).into_bytes(),
        [log_of(&[]), entries.clone().into_bytes()].concat(),
        entries.into_bytes(),
    ]
}
