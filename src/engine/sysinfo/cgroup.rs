//! Where the limits of a control group stand, and which of several applies.
//!
//! A limit of any group above the process's own binds too, so all are read up to where the
//! hierarchy is mounted; in a container that is as far as can be seen. Version 2 has one hierarchy
//! for all controllers, version 1 one for each, and a machine may have both at once: a controller
//! is then where version 1 has it.

use std::path::{Component, Path, PathBuf};

use procfs::ProcessCGroup;
use procfs::process::MountInfo;

use super::parse::unescaped;
use super::snapshot::{Cgroup, Limit};

/// One controller's groups, from the process's own up to the mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lineage {
    /// 1 or 2.
    pub(super) version: u8,
    /// The own group, as the kernel names it.
    pub(super) path: String,
    /// Directories; the own group first.
    pub(super) dirs: Vec<PathBuf>,
}

/// Returns where a controller's files are; `None` if its hierarchy is not mounted.
pub(super) fn lineage(
    groups: &[ProcessCGroup],
    mounts: &[MountInfo],
    controller: &str,
) -> Option<Lineage> {
    let has_controller = |group: &&ProcessCGroup| group.controllers.iter().any(|c| c == controller);
    let first_version = groups.iter().find(has_controller).and_then(|group| {
        let is_mount = |mount: &&MountInfo| {
            mount.fs_type == "cgroup" && mount.super_options.contains_key(controller)
        };
        Some((1, group, mounts.iter().find(is_mount)?))
    });
    let (version, group, mount) = first_version.or_else(|| {
        let group = groups.iter().find(|group| group.hierarchy == 0)?;
        let mount = mounts.iter().find(|mount| mount.fs_type == "cgroup2")?;
        Some((2, group, mount))
    })?;
    let root = unescaped(&mount.root);
    let point = PathBuf::from(unescaped(&mount.mount_point.to_string_lossy()));
    let dirs = dirs(&point, &root, &group.pathname);
    Some(Lineage { version, path: group.pathname.clone(), dirs })
}

/// Returns the directories of a group and all above it, of which `root` is mounted at `point`.
fn dirs(point: &Path, root: &str, group: &str) -> Vec<PathBuf> {
    // A group outside of what is mounted can't be seen; its limits bind through the mounted one.
    let inside = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
    let is_plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
    let own = if is_plain { point.join(inside) } else { point.to_owned() };
    own.ancestors().take_while(|dir| dir.starts_with(point)).map(Path::to_owned).collect()
}

/// What one group says of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) max: Option<Limit>,
    pub(super) current: Option<u64>,
    /// What of `current` is given back when it is wanted: pages of files.
    pub(super) reclaimable: u64,
}

/// What all groups together say of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) max: Option<Limit>,
    pub(super) current: Option<u64>,
    pub(super) available: Option<u64>,
}

/// Adds levels up; the own group is the first.
pub(super) fn bounds(levels: &[Level]) -> Bounds {
    let available = levels.iter().filter_map(|level| {
        let used = level.current?.saturating_sub(level.reclaimable);
        Some(level.max?.bound()?.saturating_sub(used))
    });
    Bounds {
        max: tightest(levels.iter().filter_map(|level| level.max)),
        current: levels.first().and_then(|level| level.current),
        available: available.min(),
    }
}

/// Returns the smallest bound; that there is none only if somebody says so.
pub(super) fn tightest<T: PartialOrd + Copy>(
    limits: impl IntoIterator<Item = Limit<T>>,
) -> Option<Limit<T>> {
    limits.into_iter().reduce(|one, other| match (one, other) {
        (Limit::Of(a), Limit::Of(b)) if a <= b => one,
        (Limit::Of(_), Limit::Unlimited) => one,
        _ => other,
    })
}

impl Cgroup {
    pub(super) fn set_memory(&mut self, bounds: Bounds) {
        self.memory_max_bytes = bounds.max;
        self.memory_current_bytes = bounds.current;
        self.memory_available_bytes = bounds.available;
    }

    pub(super) fn set_tasks(&mut self, bounds: Bounds) {
        self.tasks_max = bounds.max;
        self.tasks_current = bounds.current;
        self.tasks_available = bounds.available;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(line: &str) -> ProcessCGroup {
        let mut parts = line.splitn(3, ':');
        let hierarchy = parts.next().unwrap().parse().unwrap();
        let controllers = parts.next().unwrap().split(',').filter(|c| !c.is_empty());
        let controllers = controllers.map(str::to_owned).collect();
        ProcessCGroup { hierarchy, controllers, pathname: parts.next().unwrap().to_owned() }
    }

    fn check(groups: &[&str], mounts: &[&str], controller: &str, expected: Option<(u8, &[&str])>) {
        let groups: Vec<_> = groups.iter().map(|line| group(line)).collect();
        let mounts: Vec<_> =
            mounts.iter().map(|line| MountInfo::from_line(line).unwrap()).collect();
        let found = lineage(&groups, &mounts, controller);
        let found = found.map(|lineage| (lineage.version, lineage.dirs));
        let paths = |dirs: &[&str]| dirs.iter().map(PathBuf::from).collect();
        let expected = expected.map(|(version, dirs)| (version, paths(dirs)));
        assert_eq!(found, expected);
    }

    const V2: &str = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
    const MEMORY: &str = "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
    const CPU: &str = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct";
    const UNIFIED: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";

    #[test]
    fn a_group_and_all_above_it_bind() {
        let dirs =
            ["/sys/fs/cgroup/user.slice/app.scope", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"];
        check(&["0::/user.slice/app.scope"], &[V2], "memory", Some((2, &dirs)));
    }

    #[test]
    fn a_controller_of_version_1_has_a_hierarchy_of_its_own() {
        let groups = ["4:memory:/a", "3:cpuacct,cpu:/", "0::/x"];
        let mounts = [MEMORY, CPU, UNIFIED];
        let memory = ["/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"];
        check(&groups, &mounts, "memory", Some((1, &memory)));
        check(&groups, &mounts, "cpu", Some((1, &["/sys/fs/cgroup/cpu,cpuacct"])));
        let unified = ["/sys/fs/cgroup/unified/x", "/sys/fs/cgroup/unified"];
        check(&groups, &mounts, "pids", Some((2, &unified)));
        check(&groups, &[], "memory", None);
        check(&[], &mounts, "memory", None);
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_root() {
        let bound = "32 31 0:29 /docker/3f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
        check(&["4:memory:/docker/3f"], &[bound], "memory", Some((1, &["/sys/fs/cgroup/memory"])));
        let inner = ["/sys/fs/cgroup/memory/in", "/sys/fs/cgroup/memory"];
        check(&["4:memory:/docker/3f/in"], &[bound], "memory", Some((1, &inner)));
        check(
            &["4:memory:/docker/other"],
            &[bound],
            "memory",
            Some((1, &["/sys/fs/cgroup/memory"])),
        );
        check(&["0::/"], &[V2], "cpu", Some((2, &["/sys/fs/cgroup"])));
        check(&["0::/../outside"], &[V2], "cpu", Some((2, &["/sys/fs/cgroup"])));
    }

    #[test]
    fn the_tightest_limit_applies() {
        let check = |limits: &[Limit], expected| {
            assert_eq!(tightest(limits.iter().copied()), expected, "{limits:?}");
        };
        check(&[], None);
        check(&[Limit::Unlimited], Some(Limit::Unlimited));
        check(&[Limit::Of(5), Limit::Unlimited, Limit::Of(3)], Some(Limit::Of(3)));
        check(&[Limit::Unlimited, Limit::Of(7)], Some(Limit::Of(7)));
        check(&[Limit::Of(3), Limit::Of(5)], Some(Limit::Of(3)));
    }

    #[test]
    fn what_is_left_is_what_the_fullest_group_leaves() {
        let own = Level { max: Some(Limit::Of(100)), current: Some(10), reclaimable: 0 };
        let parent = Level { max: Some(Limit::Of(500)), current: Some(480), reclaimable: 30 };
        let root = Level { max: Some(Limit::Unlimited), current: Some(9000), reclaimable: 0 };
        let found = bounds(&[own, parent, root]);
        let expected = Bounds { max: Some(Limit::Of(100)), current: Some(10), available: Some(50) };
        assert_eq!(found, expected);
        assert_eq!(bounds(&[root]).available, None);
        let over = Level { max: Some(Limit::Of(5)), current: Some(6), reclaimable: 0 };
        assert_eq!(bounds(&[over]).available, Some(0));
        assert_eq!(bounds(&[]), Bounds::default());
    }
}
