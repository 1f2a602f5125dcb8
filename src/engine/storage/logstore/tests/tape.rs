//! A tape of a log that a writer goes on with, or left torn.

use super::*;
use crate::storage::tape::Tape;

/// Reads a tape to its end, so many records at a time.
fn play(tape: &mut Tape, records: u64) -> Vec<Owned> {
    let mut found = Vec::new();
    while tape
        .read(records, &mut |record, _| {
            found.push((record.kind, *record.key, record.value.to_vec()));
        })
        .unwrap()
        > 0
    {}
    found
}

#[test]
fn a_tape_reads_on_from_any_place_and_follows_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0, 150);
    let mut tape = Tape::new(dir.path(), None);
    let (mut places, mut read) = (vec![(None, 0)], 0);
    loop {
        let found = tape.read(37, &mut |_, _| {}).unwrap();
        if found == 0 {
            break;
        }
        read += found;
        places.push((tape.place(), read));
    }
    assert!(read == 1500 && segments(dir.path()).len() > 3);
    for (place, from) in places {
        assert_eq!(play(&mut Tape::new(dir.path(), place), 64), numbers(from..1500));
    }
    write(dir.path(), 1500, 100);
    assert_eq!(play(&mut tape, 10), numbers(1500..2500), "it goes on where it was");
    assert_eq!(tape.judge().unwrap().torn, None);
}

#[test]
fn a_tape_ends_with_the_last_whole_record_and_names_what_follows() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0, 3);
    let path = path_of(dir.path(), segments(dir.path())[0]);
    let mut whole = Tape::new(dir.path(), None);
    play(&mut whole, 1);
    let end = usize::try_from(whole.place().unwrap().lsn().0).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[end - 1] ^= 1;
    bytes.truncate(end);
    std::fs::write(&path, &bytes).unwrap();
    let mut torn = Tape::new(dir.path(), None);
    assert_eq!(play(&mut torn, 1000), numbers(0..29), "of the last batch nine are whole");
    assert_eq!(play(&mut torn, 1000), [], "and none comes twice");
    assert!(torn.judge().unwrap().torn.is_some());
}
