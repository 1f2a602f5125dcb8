//! Files made by LMDB itself pass; what was done to them is found.

use std::collections::BTreeMap;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, EnvOpenOptions};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Keys and their new values; none removes.
type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn key(number: u64) -> Vec<u8> {
    let mut key = number.to_be_bytes().to_vec();
    key.extend_from_slice(&[0; 8]);
    key
}

/// Has LMDB write transactions and returns the file.
fn lmdb(dir: &Path, txns: &[Changes]) -> (Vec<u8>, Entries) {
    let mut options = EnvOpenOptions::new();
    options.map_size(1 << 26);
    // SAFETY: nobody else has the directory.
    let env = unsafe { options.open(dir) }.unwrap();
    let txn = env.write_txn().unwrap();
    let db = env
        .create_databases_and_commit(txn, |opener, txn| {
            let db = opener.create_database::<Bytes, Bytes>(txn, None)?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(db))
        })
        .unwrap()
        .unwrap_commit();
    let mut entries = Entries::new();
    for changes in txns {
        let mut txn = env.write_txn().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => {
                    db.put(&mut txn, key, value).unwrap();
                    entries.insert(key.clone(), value.clone());
                }
                None => {
                    db.delete(&mut txn, key).unwrap();
                    entries.remove(key);
                }
            }
        }
        txn.commit().unwrap();
    }
    env.prepare_for_closing().wait();
    (std::fs::read(dir.join("data.mdb")).unwrap(), entries)
}

fn read(file: &[u8]) -> Result<(Checked, Entries), CheckError> {
    let mut entries = Entries::new();
    let checked = check(&file.to_vec(), &mut |key, value| {
        entries.insert(key.to_vec(), value.to_vec());
    })?;
    Ok((checked, entries))
}

/// A file with several levels, a used free list and long values.
fn image() -> (Vec<u8>, Entries) {
    let dir = tempfile::tempdir().unwrap();
    let value = |number: u64| Some(vec![7; if number.is_multiple_of(997) { 9000 } else { 16 }]);
    let all = (0..20_000).map(|number| (key(number), value(number))).collect();
    let gone = (3000..9000).map(|number| (key(number), None)).collect();
    let again = (0..4000).map(|number| (key(number * 3), value(number + 1))).collect();
    let few = (0..50).map(|number| (key(number * 11), value(number))).collect();
    lmdb(dir.path(), &[all, gone, again, few])
}

#[test]
fn what_lmdb_wrote_is_read_as_it_is() {
    let (file, entries) = image();
    let (checked, found) = read(&file).unwrap();
    assert!(found == entries, "{} of {}", found.len(), entries.len());
    assert_eq!(checked.entries, entries.len() as u64);
}

#[test]
fn small_files_pass_too() {
    let check = |txns: &[Changes]| {
        let dir = tempfile::tempdir().unwrap();
        let (file, entries) = lmdb(dir.path(), txns);
        assert_eq!(read(&file).unwrap().1, entries);
    };
    check(&[]);
    check(&[vec![(key(1), Some(vec![1]))]]);
    check(&[vec![(key(1), Some(vec![1]))], vec![(key(1), None)]]);
    check(&[vec![(b"\0".to_vec(), Some(vec![3; 100_000]))], vec![(b"\0".to_vec(), Some(vec![4]))]]);
    let many = (0..30_000).map(|number| (key(number), Some(vec![0; 16]))).collect();
    let all_but_few = (10..30_000).map(|number| (key(number), None)).collect();
    check(&[many, all_but_few, vec![(key(77), Some(vec![5; 5000]))]]);
}

#[test]
fn a_file_cut_anywhere_is_refused_or_whole() {
    let (file, entries) = image();
    for cut in (0..file.len()).step_by(997).chain(file.len() - 10..file.len()) {
        if let Ok((_, found)) = read(&file[..cut]) {
            assert!(found == entries, "only what nobody uses may be missing: {cut}");
        }
    }
}

#[test]
fn other_files_are_told_apart() {
    let (file, _) = image();
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = file.clone();
        change(&mut file);
        read(&file).unwrap_err()
    };
    assert!(matches!(refused(&|file| file[16..20].reverse()), CheckError::Architecture));
    assert!(matches!(refused(&|file| drop(file.drain(4..8))), CheckError::Architecture));
    assert!(matches!(refused(&|file| file[16] = 1), CheckError::Foreign));
    assert!(matches!(refused(&|file| file[20] = 2), CheckError::Version { found: 2 }));
    assert!(matches!(read(b"").unwrap_err(), CheckError::Truncated { page: 0 }));
}

/// Damages a file in one of the ways that disks have, and says how.
fn damage(file: &mut [u8], rng: &mut ChaCha8Rng) -> String {
    let mut below = |bound: usize| usize::try_from(rng.next_u64()).unwrap() % bound;
    let pages = file.len() / 4096;
    match below(6) {
        0 => {
            let bit = below(file.len() * 8);
            file[bit / 8] ^= 1 << (bit % 8);
            format!("bit {bit}")
        }
        1 => {
            for _ in 0..16 {
                let bit = below(file.len() * 8);
                file[bit / 8] ^= 1 << (bit % 8);
            }
            "16 bits".to_owned()
        }
        2 => {
            let bit = below(2 * 160 * 8);
            let at = bit / 8 % 160 + bit / 8 / 160 * 4096;
            file[at] ^= 1 << (bit % 8);
            format!("meta bit {bit}")
        }
        3 => {
            let page = below(pages);
            file[page * 4096..][..4096].fill(0);
            format!("page {page} zeroed")
        }
        4 => {
            let page = below(pages);
            file[page * 4096..][..4096].fill_with(|| u8::try_from(below(256)).unwrap());
            format!("page {page} of garbage")
        }
        _ => {
            let (from, to) = (below(pages), below(pages));
            file.copy_within(from * 4096..(from + 1) * 4096, to * 4096);
            format!("page {from} in the place of {to}")
        }
    }
}

#[test]
fn damage_is_refused_or_shows_in_the_entries() {
    let (file, entries) = image();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (mut refused, mut shown) = (0, 0);
    for _ in 0..400 {
        let mut damaged = file.clone();
        let how = damage(&mut damaged, &mut rng);
        match read(&damaged) {
            Err(_) => refused += 1,
            // What passes has the shape of an LMDB file: keys in order, found by searching, and
            // as many as there were. Whether they are the right ones a checksum tells.
            Ok((_, found)) if found != entries => {
                assert_eq!(found.len(), entries.len(), "{how}");
                shown += 1;
            }
            Ok(_) => {}
        }
    }
    assert!(refused > 150 && shown > 20, "{refused} refused, {shown} shown");
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused(mut data: Vec<u8>, shape in 0..2) {
        if shape == 1 && data.len() > 24 {
            data[16..20].copy_from_slice(&MAGIC.to_le_bytes());
            data[20..24].copy_from_slice(&VERSION.to_le_bytes());
        }
        prop_assert!(read(&data).is_err());
    }
}
