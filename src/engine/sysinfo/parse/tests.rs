//! What kernels write, what they do not write, and nonsense.

use proptest::prelude::*;

use super::*;

#[test]
fn a_number_stands_alone() {
    let check = |text, expected| assert_eq!(number(text), expected, "{text:?}");
    check("4096\n", Some(4096));
    check(" 0 ", Some(0));
    check("18446744073709551615", Some(u64::MAX));
    check("18446744073709551616", None);
    check("-1\n", None);
    check("", None);
    check("12 13", None);
    check("0x10", None);
}

#[test]
fn a_phrase_has_something_in_it() {
    assert_eq!(phrase("write back\n").as_deref(), Some("write back"));
    assert_eq!(phrase("raspberrypi,4\0").as_deref(), Some("raspberrypi,4"));
    assert_eq!(phrase(" \n"), None);
}

#[test]
fn a_flag_is_0_or_1() {
    let check = |text, expected| assert_eq!(flag(text), expected, "{text:?}");
    check("0\n", Some(false));
    check("1\n", Some(true));
    check("2\n", None);
    check("", None);
}

#[test]
fn cache_sizes_have_units() {
    let check = |text, expected| assert_eq!(size(text), expected, "{text:?}");
    check("8K\n", Some(8 << 10));
    check("32768K\n", Some(32 << 20));
    check("1M", Some(1 << 20));
    check("2G", Some(2 << 30));
    check("512\n", Some(512));
    check("0K", None);
    check("K", None);
    check("", None);
    check("32 K", None);
    check("32k", None);
    check("99999999999999999999K", None);
    check("18446744073709551615K", None);
    check("é", None);
}

#[test]
fn cpu_lists_have_ranges_and_bounds() {
    let check = |text, expected: Option<&[u32]>| {
        let expected = expected.map(|cpus| cpus.iter().copied().collect());
        assert_eq!(cpu_list(text), expected, "{text:?}");
    };
    check("0\n", Some(&[0]));
    check("0-3,8,10-11\n", Some(&[0, 1, 2, 3, 8, 10, 11]));
    check("\n", Some(&[]));
    check("3-1", None);
    check("0-", None);
    check("0,,1", None);
    check("a-b", None);
    check("0-4294967295", None);
}

#[test]
fn the_chosen_word_is_in_brackets_or_alone() {
    let check = |text, expected: Option<&str>| {
        assert_eq!(chosen(text).as_deref(), expected, "{text:?}");
    };
    check("none [mq-deadline] kyber bfq \n", Some("mq-deadline"));
    check("always [madvise] never\n", Some("madvise"));
    check("[none]\n", Some("none"));
    check("none\n", Some("none"));
    check("always madvise never", None);
    check("[always", None);
    check("", None);
}

#[test]
fn a_pair_is_two_numbers() {
    let check = |text, expected| assert_eq!(pair(text), expected, "{text:?}");
    check("32768\t60999\n", Some((32768, 60999)));
    check("1 2 3", None);
    check("1", None);
    check("1 x", None);
    check("", None);
}

#[test]
fn one_odd_line_does_not_take_the_others() {
    let text = "MemTotal:       24684084 kB\nMemFree: many kB\nSwapTotal: 0 kB\n\nHugePages_Total:       4\n\
                Odd: 3 MB\nHuge: 18446744073709551615 kB\nNoValue:\ninactive_file 8192\n";
    let found = fields(text);
    assert_eq!(found.get("MemTotal"), Some(&(24_684_084 * 1024)));
    assert_eq!(found.get("SwapTotal"), Some(&0));
    assert_eq!(found.get("HugePages_Total"), Some(&4));
    assert_eq!(found.get("inactive_file"), Some(&8192));
    for absent in ["MemFree", "Odd", "Huge", "NoValue", "MemAvailable"] {
        assert_eq!(found.get(absent), None, "{absent}");
    }
    assert!(fields("").is_empty());
}

const X86: &str = "\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R)
cpu MHz\t\t: 2000.000
flags\t\t: fpu vme hypervisor lahf_lm
bogomips\t: 5000.00

processor\t: 1
cpu MHz\t\t: 3000.500
flags\t\t: fpu vme hypervisor lahf_lm
";

const ARM: &str = "\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm hypervisor
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd0c
";

#[test]
fn x86_tells_its_frequency_and_arm_does_not() {
    assert_eq!(cpu_hz(X86), Some(2_500_250_000));
    assert_eq!(cpu_hz(ARM), None);
    assert_eq!(cpu_hz("clock\t\t: 3425.000000MHz\n"), Some(3_425_000_000));
    assert_eq!(cpu_hz("cpu MHz\t: unknown\ncpu MHz\t: NaN\ncpu MHz\t: 0\n"), None);
    assert_eq!(cpu_hz(""), None);
}

#[test]
fn only_x86_has_a_flag_for_guests() {
    assert!(has_hypervisor_flag(X86));
    assert!(!has_hypervisor_flag(ARM));
    assert!(!has_hypervisor_flag(&X86.replace("hypervisor", "hypervisors")));
}

#[test]
fn no_limit_of_a_control_group_is_a_word_or_a_huge_number() {
    let check = |text, expected| assert_eq!(cgroup_limit(text), expected, "{text:?}");
    check("max\n", Some(Limit::Unlimited));
    check("9223372036854771712\n", Some(Limit::Unlimited));
    check("9223372036854710272\n", Some(Limit::Unlimited));
    check("18446744073709551615\n", Some(Limit::Unlimited));
    check("536870912\n", Some(Limit::Of(512 << 20)));
    check("0\n", Some(Limit::Of(0)));
    check("-1\n", None);
    check("", None);
}

#[test]
fn quotas_of_both_versions_are_cpus() {
    let check = |text, expected| assert_eq!(cpu_max(text), expected, "{text:?}");
    check("max 100000\n", Some(Limit::Unlimited));
    check("150000 100000\n", Some(Limit::Of(1.5)));
    check("50000 100000", Some(Limit::Of(0.5)));
    check("100000", None);
    check("0 100000", None);
    check("100000 0", None);
    check("", None);
    let check = |quota, period, expected| assert_eq!(cfs(quota, period), expected, "{quota:?}");
    check("-1\n", "100000\n", Some(Limit::Unlimited));
    check("200000\n", "100000\n", Some(Limit::Of(2.0)));
    check("200000\n", "", None);
    check("-2\n", "100000\n", None);
}

#[test]
fn odd_bytes_of_paths_are_octal() {
    let check = |text, expected: &str| assert_eq!(unescaped(text), expected);
    check("/plain", "/plain");
    check(r"/my\040disk", "/my disk");
    check(r"/tab\011\134end", "/tab\t\\end");
    check(r"/torn\04", r"/torn\04");
    check(r"/no\999", r"/no\999");
    check(r"/b\303\244r", "/bär");
    check("", "");
}

#[test]
fn a_container_with_users_of_its_own_maps_some() {
    assert!(maps_all_users("         0          0 4294967295\n"));
    assert!(!maps_all_users("         0       1000          1\n"));
    assert!(!maps_all_users("0 100000 65536\n1000 0 1\n"));
    assert!(!maps_all_users(""));
}

#[test]
fn containers_are_known_by_the_groups_of_their_first_process() {
    let check = |text, expected| assert_eq!(container_of(text), expected, "{text:?}");
    check("0::/init.scope\n", None);
    check("0::/\n", None);
    check("4:memory:/docker/3f2a\n", Some("docker"));
    check("0::/kubepods.slice/kubepods-pod1.slice/docker-1.scope\n", Some("kubernetes"));
    check("0::/machine.slice/libpod-12.scope\n", Some("podman"));
    check("", None);
}

#[test]
fn disks_are_known_by_their_names() {
    let check = |name, expected| assert_eq!(disk_kind(name), expected, "{name}");
    check("nvme0n1", Some("NVMe"));
    check("vda", Some("virtio"));
    check("xvda", Some("Xen"));
    check("sda", Some("SCSI or SATA"));
    check("dm-0", Some("device mapper"));
    check("md127", Some("RAID"));
    check("pmem0", None);
    check("", None);
}

proptest! {
    #[test]
    fn nonsense_is_absent_and_never_fatal(text in "[0-9kKMGx:,./ \\\\\\-\\[\\]\\n\\t\\PC]{0,40}") {
        let _ = (number(&text), phrase(&text), flag(&text), size(&text), cpu_list(&text));
        let _ = (chosen(&text), pair(&text), fields(&text), cpu_hz(&text), cgroup_limit(&text));
        let _ = (cpu_max(&text), cfs(&text, &text), container_of(&text), disk_kind(&text));
        prop_assert!(unescaped(&text).len() <= 3 * text.len());
    }

    #[test]
    fn a_list_of_cpus_is_read_as_it_was_written(
        cpus in prop::collection::btree_set(0..256_u32, 0..20),
    ) {
        let text: Vec<String> = cpus.iter().map(u32::to_string).collect();
        prop_assert_eq!(cpu_list(&text.join(",")), Some(cpus));
    }
}
