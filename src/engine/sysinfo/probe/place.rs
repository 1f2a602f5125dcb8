//! The data directory, the file system that it is on, and the disk under that.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};
use nix::sys::statfs::statfs;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};
use procfs::process::MountInfo;

use super::{parse, phrase, text};
use crate::sysinfo::snapshot::{DataPlace, Disk};

/// Mount options with which a sync does not reach the medium.
const WEAKENING: [(&str, Option<&str>, &str); 4] = [
    ("volatile", None, "volatile"),
    ("nobarrier", None, "nobarrier"),
    ("barrier", Some("0"), "barrier=0"),
    ("sync", Some("disabled"), "sync=disabled"),
];

pub(super) fn look(dir: &Path, mounts: &[MountInfo]) -> (DataPlace, Option<Disk>) {
    let path = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let mut place = DataPlace { path: path.clone(), ..DataPlace::default() };
    let Some(found) = path.ancestors().find(|dir| dir.exists()) else { return (place, None) };
    place.is_writable = Some(access(found, AccessFlags::W_OK | AccessFlags::X_OK).is_ok());
    place.found = Some(found.to_owned());
    look_at_filesystem(found, &mut place);
    let real = found.canonicalize().unwrap_or_else(|_| found.to_owned());
    let mount = mount_of(mounts, &real);
    if let Some(mount) = mount {
        place.filesystem = Some(mount.fs_type.clone());
        place.mount_point = Some(point_of(mount));
        place.device = mount.mount_source.as_deref().map(parse::unescaped);
        place.weakens_syncs = weakening(mount);
    }
    let metadata = std::fs::metadata(found).ok();
    let device = device_of(metadata.as_ref(), mount);
    let disk = device.and_then(|(major, minor)| {
        disk(&Path::new("/sys/dev/block").join(format!("{major}:{minor}")))
    });
    (place, disk)
}

pub(super) fn look_at_filesystem(path: &Path, place: &mut DataPlace) {
    if let Ok(found) = statfs(path) {
        place.filesystem_magic = Some(format!("{:x}", found.filesystem_type().0));
    }
    let Ok(found) = statvfs(path) else { return };
    // Blocks are counted in fragments; what these are called is older than either.
    let fragment =
        if found.fragment_size() > 0 { found.fragment_size() } else { found.block_size() };
    let bytes = |blocks: u64| blocks.checked_mul(fragment);
    place.block_bytes = Some(found.block_size());
    place.total_bytes = bytes(found.blocks());
    place.free_bytes = bytes(found.blocks_free());
    place.available_bytes = bytes(found.blocks_available());
    place.is_read_only = Some(found.flags().contains(FsFlags::ST_RDONLY));
    // File systems that make inodes as they are needed say 0.
    place.inodes_total = Some(found.files()).filter(|total| *total > 0);
    place.inodes_free = place.inodes_total.map(|_| found.files_free());
}

fn point_of(mount: &MountInfo) -> PathBuf {
    PathBuf::from(parse::unescaped(&mount.mount_point.to_string_lossy()))
}

/// Returns the mount that a path is on: the deepest, of equals the last, which covers the others.
fn mount_of<'a>(mounts: &'a [MountInfo], path: &Path) -> Option<&'a MountInfo> {
    let depth = |mount: &&MountInfo| point_of(mount).components().count();
    mounts.iter().filter(|mount| path.starts_with(point_of(mount))).max_by_key(depth)
}

fn weakening(mount: &MountInfo) -> Option<String> {
    let has = |(name, value, _): &&(&str, Option<&str>, &str)| {
        let options = [&mount.mount_options, &mount.super_options];
        options.iter().any(|options| options.get(*name).is_some_and(|v| v.as_deref() == *value))
    };
    WEAKENING.iter().find(has).map(|(.., option)| (*option).to_owned())
}

/// Returns the block device under a file system: what its files say, or, where that is no real
/// one, as on btrfs, what is mounted.
fn device_of(found: Option<&Metadata>, mount: Option<&MountInfo>) -> Option<(u64, u64)> {
    let numbers = |device| (major(device), minor(device));
    let of_files = found.map(|found| numbers(found.dev())).filter(|(major, _)| *major > 0);
    of_files.or_else(|| {
        let source = parse::unescaped(mount?.mount_source.as_deref()?);
        let source = std::fs::metadata(source).ok()?;
        source.file_type().is_block_device().then(|| numbers(source.rdev()))
    })
}

/// Reads a block device of `/sys`; a partition has its disk's properties.
fn disk(device: &Path) -> Option<Disk> {
    let device = device.canonicalize().ok()?;
    let is_partition = device.join("partition").exists();
    let disk = if is_partition { device.parent()? } else { &device };
    let name = disk.file_name()?.to_string_lossy().into_owned();
    let queue = |file: &str| text(&disk.join("queue").join(file));
    Some(Disk {
        kind: parse::disk_kind(&name),
        model: phrase(disk.join("device/model")),
        is_rotational: queue("rotational").and_then(|text| parse::flag(&text)),
        scheduler: queue("scheduler").and_then(|text| parse::chosen(&text)),
        write_cache: queue("write_cache").and_then(|text| parse::phrase(&text)),
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(line: &str) -> MountInfo {
        MountInfo::from_line(line).unwrap()
    }

    #[test]
    fn the_deepest_and_last_mount_is_the_one() {
        let mounts = [
            mount("1 0 254:0 / / rw - ext4 /dev/root rw"),
            mount(r"2 1 254:1 / /my\040data rw - xfs /dev/one rw"),
            mount(r"3 1 254:2 / /my\040data rw - btrfs /dev/two rw"),
            mount("4 1 0:30 / /my rw - tmpfs tmpfs rw"),
        ];
        let check = |path, expected: &str| {
            let found = mount_of(&mounts, Path::new(path)).unwrap();
            assert_eq!(found.fs_type, expected, "{path}");
        };
        check("/home", "ext4");
        check("/my", "tmpfs");
        check("/my data/office", "btrfs");
        check("/my database", "ext4");
        assert!(mount_of(&[], Path::new("/")).is_none());
    }

    #[test]
    fn options_that_weaken_a_sync_are_seen() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(weakening(&mount(line)).as_deref(), expected, "{line}");
        };
        check("1 0 254:0 / / rw,relatime - ext4 /dev/root rw,discard", None);
        check("1 0 254:0 / / rw - ext4 /dev/root rw,nobarrier", Some("nobarrier"));
        check("1 0 254:0 / / rw - ext4 /dev/root rw,barrier=0", Some("barrier=0"));
        check("1 0 254:0 / / rw - ext4 /dev/root rw,barrier=1", None);
        check("1 0 0:50 / / rw - overlay overlay rw,upperdir=/u,volatile", Some("volatile"));
        check("1 0 254:0 / / rw,sync - ext4 /dev/root rw,sync", None);
    }

    #[test]
    fn a_directory_that_does_not_exist_is_where_it_would_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("not/yet");
        let (place, _) = look(&path, &[]);
        assert!(!place.exists());
        assert_eq!(place.found.as_deref(), Some(dir.path()));
        assert_eq!(place.is_writable, Some(true));
        assert!(place.total_bytes.is_some() && place.filesystem_magic.is_some());
        assert_eq!((place.filesystem, place.device), (None, None), "nothing is known of mounts");
        assert!(look(dir.path(), &[]).0.exists());
    }

    #[test]
    fn a_partition_has_the_properties_of_its_disk() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("nvme0n1/queue/rotational", "0\n");
        write("nvme0n1/queue/scheduler", "[none] mq-deadline\n");
        write("nvme0n1/queue/write_cache", "write back\n");
        write("nvme0n1/device/model", "Fast 1TB   \n");
        write("nvme0n1/nvme0n1p2/partition", "2\n");
        let found = disk(&dir.path().join("nvme0n1/nvme0n1p2")).unwrap();
        let expected = Disk {
            name: "nvme0n1".to_owned(),
            kind: Some("NVMe"),
            model: Some("Fast 1TB".to_owned()),
            is_rotational: Some(false),
            scheduler: Some("none".to_owned()),
            write_cache: Some("write back".to_owned()),
        };
        assert_eq!(found, expected);
        assert_eq!(disk(&dir.path().join("sda")), None);
    }
}
