//! Files that LMDB made pass with exactly their entries; damaged ones are refused, or differ in a
//! way that a hash of the entries tells. What passes is also opened and written by LMDB itself: if
//! the check were wrong, this process would die.

use std::collections::BTreeMap;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RwTxn};
use proptest::prelude::*;

use super::*;
use crate::rng::{Stream, fnv1a_on};

type Entries = Vec<(Vec<u8>, Vec<u8>)>;
type Model = BTreeMap<Vec<u8>, Vec<u8>>;
type Db = Database<'static, Bytes, Bytes>;

const PAGE: usize = 4096;
const MAP_BYTES: usize = 64 << 20;

fn open(dir: &Path) -> Env {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES).max_readers(8);
    // SAFETY: the directory is this test's own, and nothing depends on its surviving a power loss.
    unsafe { options.flags(EnvFlags::NO_SYNC) };
    // SAFETY: nobody else changes the file while it is mapped.
    unsafe { options.open(dir) }.unwrap()
}

fn database(env: &Env) -> Db {
    env.create_databases_and_commit(env.write_txn().unwrap(), |opener, txn| {
        opener.create_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
    })
    .unwrap()
    .unwrap_commit()
}

/// A database, and what should be in it.
struct Sample {
    dir: tempfile::TempDir,
    env: Env,
    db: Db,
    model: Model,
}

impl Sample {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let env = open(dir.path());
        let db = database(&env);
        Self { dir, env, db, model: Model::new() }
    }

    fn commit(&mut self, change: impl FnOnce(&mut Change<'_, '_>)) {
        let txn = self.env.write_txn().unwrap();
        let mut change_of = Change { db: self.db, txn, model: &mut self.model };
        change(&mut change_of);
        change_of.txn.commit().unwrap();
    }

    fn image(&self) -> Vec<u8> {
        std::fs::read(self.dir.path().join("data.mdb")).unwrap()
    }

    fn entries(&self) -> Entries {
        self.model.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Makes sure that the file passes with exactly the entries of the model.
    fn check(&self) -> Checked {
        let (checked, entries) = run(&self.image()).unwrap();
        assert_eq!(checked.entries, self.model.len() as u64);
        assert!(entries == self.entries(), "the entries are those that were written");
        assert_eq!(checked.page_bytes as usize, PAGE);
        assert_eq!(checked.map_bytes, MAP_BYTES as u64);
        assert_eq!(checked.lost_pages, 0);
        checked
    }
}

struct Change<'e, 'm> {
    db: Db,
    txn: RwTxn<'e>,
    model: &'m mut Model,
}

impl Change<'_, '_> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.db.put(&mut self.txn, key, value).unwrap();
        self.model.insert(key.to_vec(), value.to_vec());
    }

    fn delete(&mut self, key: &[u8]) {
        let was_there = self.db.delete(&mut self.txn, key).unwrap();
        assert_eq!(was_there, self.model.remove(key).is_some());
    }
}

fn run(image: &[u8]) -> Result<(Checked, Entries), CheckError> {
    let mut entries = Entries::new();
    let checked = check(image, |key, value| entries.push((key.to_vec(), value.to_vec())))?;
    Ok((checked, entries))
}

/// Seeded choices.
struct Choices(Stream, u64);

impl Choices {
    fn new(seed: u64) -> Self {
        Self(Stream::new(seed, "lmdb_check"), 0)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.1 += 1;
        usize::try_from(self.0.draw(self.1)[0] % bound as u64).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }
}

fn key(number: usize) -> [u8; 16] {
    let mut key = [0; 16];
    key[8..].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key
}

/// Returns a database with short and long values, a free list, and two states.
fn mixed() -> Sample {
    let mut sample = Sample::new();
    let mut choices = Choices::new(1);
    for round in 0..5 {
        sample.commit(|change| {
            for _ in 0..200 {
                let number = choices.below(600);
                let value_bytes = match choices.below(40) {
                    0 => 2000 + choices.below(15_000),
                    _ => choices.below(60),
                };
                change.put(&key(number), &vec![round; value_bytes]);
            }
            for number in 0..600 {
                if choices.below(8) == 0 {
                    change.delete(&key(number));
                }
            }
        });
    }
    sample
}

/// Returns a database with so long keys that its tree is deep.
fn deep() -> Sample {
    let mut sample = Sample::new();
    let mut choices = Choices::new(2);
    for _ in 0..4 {
        sample.commit(|change| {
            for _ in 0..100 {
                let mut long = choices.bytes(8);
                long.resize(300 + choices.below(212), 7);
                change.put(&long, &long[..choices.below(40)]);
            }
        });
    }
    sample
}

/// Returns a hash of entries that does not depend on their order.
fn hash(entries: &Entries) -> u64 {
    let hash_of = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let hash = fnv1a_on(0xcbf2_9ce4_8422_2325, &(key.len() as u64).to_le_bytes());
        fnv1a_on(fnv1a_on(hash, key), value)
    };
    entries.iter().map(hash_of).fold(0, u64::wrapping_add)
}

/// Lets LMDB itself read all of a file that passed, find every key, and then change it.
fn use_it(image: &[u8], entries: &Entries) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("data.mdb"), image).unwrap();
    let env = open(dir.path());
    let db = database(&env);
    let txn = env.read_txn().unwrap();
    let read: Entries =
        db.iter(&txn).unwrap().map(Result::unwrap).map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
    assert!(read == *entries, "LMDB reads what the check visited");
    for (key, value) in entries {
        assert_eq!(db.get(&txn, key).unwrap(), Some(value.as_slice()));
    }
    drop(txn);
    for round in 0..3_u8 {
        let mut txn = env.write_txn().unwrap();
        for (index, (key, _)) in entries.iter().enumerate() {
            match (index + usize::from(round)) % 3 {
                0 => db.put(&mut txn, key, &vec![round; index * 37 % 3000]).unwrap(),
                1 => assert!(db.delete(&mut txn, key).unwrap() || round > 0),
                _ => {}
            }
        }
        txn.commit().unwrap();
    }
    drop(env);
    check(std::fs::read(dir.path().join("data.mdb")).unwrap().as_slice(), |_, _| {}).unwrap();
}

#[test]
fn a_new_environment_has_no_entries() {
    let dir = tempfile::tempdir().unwrap();
    let env = open(dir.path());
    let (checked, entries) = run(&std::fs::read(dir.path().join("data.mdb")).unwrap()).unwrap();
    assert_eq!((checked.entries, checked.txn, checked.last_page, entries.len()), (0, 0, 1, 0));
    drop(env);
    assert_eq!(Sample::new().check().entries, 0);
}

#[test]
fn one_entry_is_one_entry() {
    let mut sample = Sample::new();
    sample.commit(|change| change.put(b"key", b"value"));
    assert_eq!(sample.check().entries, 1);
    sample.commit(|change| change.put(b"key", b""));
    sample.check();
    sample.commit(|change| change.delete(b"key"));
    assert_eq!(sample.check().entries, 0);
}

#[test]
fn many_transactions_leave_exactly_their_entries() {
    let mut sample = Sample::new();
    for round in 0..5 {
        sample.commit(|change| {
            for number in round * 20_000..(round + 1) * 20_000 {
                change.put(&key(number), &number.to_be_bytes());
            }
            for number in (0..round * 20_000).step_by(7 + round) {
                change.put(&key(number), &[1; 24]);
            }
            for number in (0..round * 10_000).step_by(5) {
                if change.model.contains_key(&key(number)[..]) {
                    change.delete(&key(number));
                }
            }
        });
        sample.check();
    }
    let all = sample.model.clone();
    sample.commit(|change| all.keys().skip(3).for_each(|key| change.delete(key)));
    assert_eq!(sample.check().entries, 3);
    sample.commit(|change| all.keys().take(3).for_each(|key| change.delete(key)));
    assert_eq!(sample.check().entries, 0);
    sample.commit(|change| all.iter().take(1000).for_each(|(k, v)| change.put(k, v)));
    assert_eq!(sample.check().entries, 1000);
    let mut txn = sample.env.write_txn().unwrap();
    sample.db.clear(&mut txn).unwrap();
    txn.commit().unwrap();
    sample.model.clear();
    sample.check();
}

#[test]
fn long_values_and_long_keys_come_whole() {
    deep().check();
    let mut sample = mixed();
    let longest = vec![9; 1 << 20];
    sample.commit(|change| {
        change.put(b"longest", &longest);
        // On the same pages: LMDB keeps a longer run than the value needs.
        change.put(b"longest", b"short");
        change.put(b"longer", &longest[..100_000]);
    });
    sample.check();
}

#[test]
fn a_file_may_end_before_its_last_free_pages() {
    let mut sample = mixed();
    sample.commit(|change| {
        change.put(b"longest", &vec![9; 1 << 20]);
        change.delete(b"longest");
    });
    let checked = sample.check();
    let bytes = sample.image().len() as u64;
    assert!(bytes < (checked.last_page + 1) * PAGE as u64, "LMDB made a short file");
    use_it(&sample.image(), &sample.entries());
}

#[test]
fn what_a_dead_writer_left_behind_the_last_page_is_ignored() {
    let sample = mixed();
    let mut image = sample.image();
    image.extend_from_slice(&[0xa5; 3 * PAGE + 17]);
    assert!(run(&image).unwrap().1 == sample.entries());
}

#[test]
fn every_state_of_a_long_life_passes() {
    let mut sample = Sample::new();
    let mut choices = Choices::new(3);
    let mut reader = None;
    for round in 0..300 {
        if round % 17 == 0 {
            reader = Some(sample.env.clone().static_read_txn().unwrap());
        }
        if round % 17 == 5 {
            drop(reader.take());
        }
        let width = if choices.below(30) == 0 { 400 } else { 20 };
        sample.commit(|change| {
            for _ in 0..choices.below(width) {
                let key = key(choices.below(500));
                match choices.below(4) {
                    0 if change.model.contains_key(&key[..]) => change.delete(&key),
                    1 => change.put(&key, &vec![2; choices.below(20_000)]),
                    _ => change.put(&key, &vec![3; choices.below(300)]),
                }
            }
        });
        sample.check();
    }
    drop(reader);
}

fn u64_of(image: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(image[at..at + 8].try_into().unwrap())
}

fn u16_of(image: &[u8], at: usize) -> usize {
    usize::from(u16::from_ne_bytes(image[at..at + 2].try_into().unwrap()))
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Where things stand in an image.
struct Places {
    newer: usize,
    older: usize,
    /// The main tree's root, a branch.
    root: usize,
    /// Its second node.
    separator: usize,
    /// A leaf of the main tree.
    leaf: usize,
    /// The node of that leaf that stands first in it.
    node: usize,
    /// The first record of the tree of free pages.
    list: usize,
}

fn places(image: &[u8]) -> Places {
    let newer = usize::from(u64_of(image, 144) < u64_of(image, PAGE + 144)) * PAGE;
    let page = |number: u64| usize::try_from(number).unwrap() * PAGE;
    let root = page(u64_of(image, newer + 88 + 40));
    let node = |at: usize, index: usize| at + u16_of(image, at + 16 + 2 * index);
    let child = |at: usize| page(u64_of(image, at) & 0xffff_ffff_ffff);
    let mut leaf = child(node(root, 1));
    while u16_of(image, leaf + 10) != 2 {
        leaf = child(node(leaf, 1));
    }
    let mut free = page(u64_of(image, newer + 40 + 40));
    while u16_of(image, free + 10) != 2 {
        free = child(node(free, 0));
    }
    let (separator, node, list) =
        (node(root, 1), leaf + u16_of(image, leaf + 14), node(free, 0) + 16);
    Places { newer, older: PAGE - newer, root, separator, leaf, node, list }
}

fn check_damage(reason: &str, damage: impl FnOnce(&mut Vec<u8>, &Places)) {
    let mut image = mixed().image();
    let places = places(&image);
    damage(&mut image, &places);
    let found = check(image.as_slice(), |_, _| {}).map_err(|error| error.to_string());
    let is_named = found.as_ref().is_err_and(|error| error.contains(reason));
    assert!(is_named, "found {found:?} instead of {reason:?}");
}

#[test]
fn damage_of_meta_pages_has_names() {
    let add = |image: &mut [u8], at: usize, more: u64| {
        let sum = u64_of(image, at).wrapping_add(more);
        put(image, at, &sum.to_ne_bytes());
    };
    for page in [0, PAGE] {
        check_damage("no meta page", |image, _| image[page + 16] ^= 1);
        check_damage("no meta page", |image, _| image[page + 20] ^= 2);
        check_damage("no meta page", |image, _| image[page] ^= 2);
        check_damage("no meta page", |image, _| image[page + 10] ^= 1);
        check_damage("a length that none has", |image, _| image[page + 40] ^= 1);
        check_damage("no meta page", |image, _| image[page..page + PAGE].fill(0));
    }
    check_damage("give pages different lengths", |image, _| image[PAGE + 41] ^= 0x30);
    check_damage("consecutive", |image, at| add(image, at.newer + 144, 1));
    check_damage("consecutive", |image, at| add(image, at.newer + 144, 0_u64.wrapping_sub(4)));
    check_damage("consecutive", |image, at| add(image, at.older + 144, 1 << 40));
    // Two off makes the other one the newer: LMDB would go on with the state before.
    check_damage("older meta page", |image, at| {
        add(image, at.newer + 144, 0_u64.wrapping_sub(2));
        add(image, at.older + 136, 0_u64.wrapping_sub(1));
    });
    check_damage("newer than its transaction", |image, at| {
        let last_page = u64_of(image, at.newer + 136);
        put(image, at.older + 136, &last_page.to_ne_bytes());
        add(image, at.newer + 144, 0_u64.wrapping_sub(2));
    });
    check_damage("older than its transaction", |image, at| {
        let last_page = u64_of(image, at.newer + 136);
        put(image, at.older + 136, &last_page.to_ne_bytes());
        add(image, at.older + 144, 2);
    });
    check_damage("its map is smaller", |image, at| image[at.older + 39] ^= 1);
    check_damage("of another kind", |image, at| image[at.newer + 44] ^= 4);
    check_damage("of another kind", |image, at| image[at.newer + 92] ^= 4);
    check_damage("size of its map", |image, at| image[at.newer + 38] ^= 0x81);
    check_damage("size of its map", |image, at| image[at.newer + 32] ^= 1);
    check_damage("outside of its map", |image, at| add(image, at.newer + 136, 1 << 30));
    check_damage("depth", |image, at| image[at.newer + 94] = 33);
    check_damage("needs at least", |image, at| add(image, at.newer + 136, 1));
    check_damage("an empty tree", |image, at| put(image, at.newer + 128, &[255; 8]));
    for count in [96, 104, 112, 120] {
        check_damage("counts other", |image, at| add(image, at.newer + count, 1));
        check_damage("counts other", |image, at| add(image, at.newer + count - 48, 1));
    }
}

#[test]
fn damage_of_trees_has_names() {
    check_damage("another page stands there", |image, at| image[at.leaf] ^= 1);
    check_damage("another page stands there", |image, at| {
        image.copy_within(at.leaf..at.leaf + PAGE, at.root);
    });
    check_damage("another kind than its place", |image, at| image[at.leaf + 10] ^= 3);
    check_damage("another kind than its place", |image, at| image[at.newer + 94] += 1);
    check_damage("free room", |image, at| image[at.leaf + 12] ^= 1);
    check_damage("free room", |image, at| image[at.leaf + 15] = 0xff);
    check_damage("too few nodes", |image, at| put(image, at.leaf + 12, &16_u16.to_ne_bytes()));
    check_damage("too few nodes", |image, at| put(image, at.root + 12, &18_u16.to_ne_bytes()));
    check_damage("lies outside of it", |image, at| image[at.leaf + 16] ^= 1);
    check_damage("overlap or leave gaps", |image, at| image[at.node + 6] ^= 2);
    check_damage("overlap or leave gaps", |image, at| {
        let upper = u16_of(image, at.leaf + 14) - 2;
        put(image, at.leaf + 14, &u16::try_from(upper).unwrap().to_ne_bytes());
    });
    check_damage("a length that none has", |image, at| image[at.node + 7] = 2);
    check_damage("longer than a page holds", |image, at| image[at.node + 2] = 1);
    check_damage("duplicates", |image, at| image[at.node + 4] = 2);
    check_damage("duplicates", |image, at| image[at.node + 4] = 4);
    check_damage("flags that none has", |image, at| image[at.node + 4] = 8);
    check_damage("don't ascend", |image, at| {
        let (first, second) = (at.leaf + 16, at.leaf + 18);
        let pointer = [image[first], image[first + 1]];
        image.copy_within(second..second + 2, first);
        put(image, second, &pointer);
    });
    check_damage("bounds that its branch sets", |image, at| image[at.separator + 16] += 1);
    check_damage("don't part", |image, at| put(image, at.separator + 8, &[0; 16]));
    check_damage("in use twice", |image, at| {
        let root = (at.root / PAGE) as u64;
        put(image, at.separator, &root.to_ne_bytes()[..6]);
    });
    check_damage("out of range", |image, at| image[at.separator + 4] = 1);
    check_damage("out of range", |image, at| put(image, at.separator, &1_u64.to_ne_bytes()[..6]));
}

#[test]
fn damage_of_free_lists_and_long_values_has_names() {
    let number = |image: &[u8], at: usize| u64_of(image, at).to_ne_bytes();
    check_damage("shorter than its count", |image, at| image[at.list + 1] = 0xff);
    check_damage("does not descend", |image, at| {
        let (first, second) = (number(image, at.list + 8), number(image, at.list + 16));
        put(image, at.list + 8, &second);
        put(image, at.list + 16, &first);
    });
    check_damage("in use", |image, at| {
        let leaf = (at.leaf / PAGE) as u64;
        put(image, at.list, &1_u64.to_ne_bytes());
        put(image, at.list + 8, &leaf.to_ne_bytes());
    });
    check_damage("out of range", |image, at| put(image, at.list + 8, &[9; 8]));
    check_damage("never was", |image, at| put(image, at.list - 8, &[0xee; 8]));
    let is_overflow = |image: &[u8], page: usize| {
        u16_of(image, page + 10) == 4 && u64_of(image, page) == (page / PAGE) as u64
    };
    let sample = mixed();
    let image = sample.image();
    let firsts: Vec<usize> =
        (0..image.len()).step_by(PAGE).filter(|page| is_overflow(&image, *page)).collect();
    let refused = |change: fn(&mut [u8])| {
        let damaged = firsts.iter().filter(|page| {
            let mut image = image.clone();
            change(&mut image[**page..]);
            run(&image).is_err()
        });
        damaged.count()
    };
    let used = refused(|page| page[10] ^= 1);
    assert!(used > 3, "some of them are in use");
    assert_eq!(refused(|page| page[12] = 0), used, "a run too short");
    assert_eq!(refused(|page| page[14] = 1), used, "a run too long");
    assert_eq!(refused(|page| page[12] += 1), used, "a run one page too long");
}

#[test]
fn other_files_are_told_from_damaged_ones() {
    let image = mixed().image();
    assert!(matches!(run(b"hello"), Err(CheckError::Foreign)));
    assert!(matches!(run(&vec![0; 3 * PAGE]), Err(CheckError::Foreign)));
    assert!(matches!(run(b""), Err(CheckError::Truncated { bytes: 0, .. })));
    let mut other = image.clone();
    [0, PAGE].into_iter().for_each(|page| other[page + 16..page + 20].reverse());
    assert!(matches!(run(&other), Err(CheckError::Architecture)));
    let mut other = image.clone();
    other.drain(..4);
    assert!(matches!(run(&other), Err(CheckError::Architecture)));
    let mut other = image;
    [0, PAGE].into_iter().for_each(|page| other[page + 20] = 2);
    assert!(matches!(run(&other), Err(CheckError::Version { found: 2 })));
}

#[test]
fn a_file_cut_anywhere_is_refused_or_lost_nothing() {
    for sample in [mixed(), deep()] {
        let image = sample.image();
        let entries = sample.entries();
        let borders = (0..image.len()).step_by(PAGE).flat_map(|at| [at, at + 1, at + PAGE - 1]);
        let mut refused = 0;
        for len in borders.chain((0..400).map(|at| at * 13)) {
            match run(&image[..len]) {
                Ok((_, kept)) => assert!(kept == entries, "cut at {len}"),
                Err(CheckError::Damaged { .. } | CheckError::Io(_)) => panic!("cut at {len}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 400);
    }
}

/// What became of a damaged file: whether it passed, and in how many entries it differed.
fn drill(image: &[u8], damaged: &[u8], entries: &Entries) -> Option<Vec<usize>> {
    let (checked, found) = run(damaged).ok()?;
    assert_eq!(checked.entries, entries.len() as u64);
    let differ: Vec<usize> =
        (0..entries.len()).filter(|index| found[*index] != entries[*index]).collect();
    assert_eq!(differ.is_empty(), hash(&found) == hash(entries), "a hash tells");
    if damaged != image {
        use_it(damaged, &found);
    }
    Some(differ)
}

#[test]
fn flipped_bits_are_refused_or_change_one_entry() {
    for (seed, sample) in [mixed(), deep()].into_iter().enumerate() {
        let (image, entries) = (sample.image(), sample.entries());
        let mut choices = Choices::new(10 + seed as u64);
        let mut refused = 0;
        for _ in 0..300 {
            let mut damaged = image.clone();
            damaged[choices.below(image.len())] ^= 1 << choices.below(8);
            match drill(&image, &damaged, &entries) {
                None => refused += 1,
                Some(differ) => assert!(differ.len() <= 1),
            }
        }
        // Most bits of a file are values, keys of one page and free pages.
        assert!(refused > 0);
        for _ in 0..200 {
            let mut damaged = image.clone();
            for _ in 0..16 {
                damaged[choices.below(image.len())] ^= 1 << choices.below(8);
            }
            let differ = drill(&image, &damaged, &entries);
            assert!(differ.is_none_or(|differ| differ.len() <= 16));
        }
        for at in (0..152).chain(PAGE..PAGE + 152) {
            let mut damaged = image.clone();
            damaged[at] ^= 1 << choices.below(8);
            let differ = drill(&image, &damaged, &entries);
            assert!(differ.is_none_or(|differ| differ.is_empty()), "byte {at}");
        }
    }
}

#[test]
fn every_flipped_bit_of_headers_and_offsets_is_refused_or_harmless() {
    let sample = mixed();
    let (image, entries) = (sample.image(), sample.entries());
    let at = places(&image);
    for page in [at.root, at.leaf] {
        for byte in page..page + 24 {
            for bit in 0..8 {
                let mut damaged = image.clone();
                damaged[byte] ^= 1 << bit;
                let differ = run(&damaged).ok().map(|(_, found)| found != entries);
                // Bytes 8 and 9 of a header mean nothing here.
                let is_unused = byte - page == 8 || byte - page == 9;
                assert_eq!(differ, is_unused.then_some(false), "byte {byte} bit {bit}");
            }
        }
    }
}

#[test]
fn damaged_pages_are_refused_or_hold_no_more_than_a_part_of_a_long_value() {
    for (seed, sample) in [mixed(), deep()].into_iter().enumerate() {
        let (image, entries) = (sample.image(), sample.entries());
        let mut choices = Choices::new(20 + seed as u64);
        let mut refused = 0;
        for round in 0..450 {
            let mut damaged = image.clone();
            let page = choices.below(image.len() / PAGE) * PAGE;
            let other = choices.below(image.len() / PAGE) * PAGE;
            match round % 3 {
                0 => damaged[page..page + PAGE].fill(0),
                1 => put(&mut damaged, page, &choices.bytes(PAGE)),
                _ => damaged.copy_within(other..other + PAGE, page),
            }
            match drill(&image, &damaged, &entries) {
                None => refused += 1,
                Some(differ) => {
                    assert!(differ.iter().all(|index| entries[*index].1.len() > PAGE / 2));
                    assert!(differ.len() <= 1);
                }
            }
        }
        assert!(refused > 100, "{refused}");
    }
}

#[test]
fn a_lost_write_is_refused_or_changes_entries() {
    let mut sample = mixed();
    let mut choices = Choices::new(30);
    let mut lost = 0;
    for _ in 0..40 {
        let before = sample.image();
        sample.commit(|change| {
            (0..30).for_each(|_| change.put(&key(choices.below(600)), &[4; 40]));
        });
        let (after, entries) = (sample.image(), sample.entries());
        // The meta pages are left out: without the newer one the file is the state before.
        for page in (2 * PAGE..before.len().min(after.len())).step_by(PAGE) {
            let old = &before[page..page + PAGE];
            if *old != after[page..page + PAGE] {
                let mut damaged = after.clone();
                put(&mut damaged, page, old);
                lost += usize::from(drill(&after, &damaged, &entries).is_none());
            }
        }
    }
    assert!(lost > 40, "{lost}");
}

#[test]
fn without_its_newest_meta_page_a_file_is_the_state_before() {
    let mut sample = mixed();
    let before = sample.image();
    let entries = sample.entries();
    sample.commit(|change| change.put(b"one", b"more"));
    let mut image = sample.image();
    let page = places(&image).newer;
    put(&mut image, page, &before[page..page + PAGE]);
    assert!(run(&image).unwrap().1 == entries);
    use_it(&image, &entries);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..20_000)) {
        prop_assert!(run(&bytes).is_err());
    }

    #[test]
    fn any_bytes_behind_sound_meta_pages_are_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..40_000),
        is_zero in any::<bool>(),
    ) {
        let mut image = deep().image();
        let len = bytes.len().min(image.len() - 2 * PAGE);
        if is_zero {
            image.truncate(2 * PAGE + len);
            image[2 * PAGE..].fill(0);
        } else {
            put(&mut image, 2 * PAGE, &bytes[..len]);
        }
        prop_assert!(len < PAGE || run(&image).is_err());
    }
}
