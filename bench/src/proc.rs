//! What Linux tells of a process: the CPU time that it used, and the most memory that it held.

use std::fs;

use anyhow::{Context, Result};

/// Nanoseconds that a process ran on a CPU, all its threads together. Work of the kernel on its behalf is in it.
pub(crate) fn cpu_nanos(process: u32) -> Result<u64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).context("the process is gone, or this isn't Linux")?;
    let mut sum = 0;
    for thread in threads {
        // A thread may end between the listing and this.
        let Ok(schedstat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        sum += parse_schedstat(&schedstat).context("an odd schedstat")?;
    }
    Ok(sum)
}

/// The most memory that a process held, in bytes.
pub(crate) fn max_rss(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    parse_status(&status, "VmHWM").context("no VmHWM: a process that ended, or not Linux")
}

/// The memory that a process holds, in bytes.
pub(crate) fn rss(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    parse_status(&status, "VmRSS").context("no VmRSS: a process that ended, or not Linux")
}

/// The machine, for the figures' heading: the processor's name and how many there are.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let count = info.lines().filter(|line| line.starts_with("processor")).count();
    let name = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']).trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{count} × {name}, Linux {}", kernel.trim())
}

/// The first of three numbers: nanoseconds on a CPU.
fn parse_schedstat(text: &str) -> Option<u64> {
    let mut numbers = text.split_ascii_whitespace();
    let cpu = numbers.next()?.parse().ok()?;
    (numbers.count() == 2).then_some(cpu)
}

/// A size of `/proc/<pid>/status`, which counts in kB of 1024 bytes.
fn parse_status(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kilobytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_begins_with_the_time_on_a_cpu() {
        assert_eq!(parse_schedstat("159231 49224 12\n"), Some(159_231));
        for bad in ["", "x 1 2", "1 2", "1 2 3 4", "-1 2 3"] {
            assert_eq!(parse_schedstat(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sizes_of_a_status() {
        let status = "Name:\tlist-messages\nVmPeak:\t   99999 kB\nVmHWM:\t    8192 kB\nVmHWMx:\t 1 kB\n";
        assert_eq!(parse_status(status, "VmHWM"), Some(8_388_608));
        assert_eq!(parse_status(status, "VmRSS"), None);
        assert_eq!(parse_status("VmHWM: many kB", "VmHWM"), None);
        assert_eq!(parse_status("VmHWM: 1 MB", "VmHWM"), None);
    }

    #[test]
    fn this_process_uses_cpu_and_memory() {
        let before = cpu_nanos(std::process::id()).unwrap();
        // Several times, for with each test beside this one that ends, its thread's time is gone from the sum.
        let grows = (0..100).any(|_| {
            std::hint::black_box(
                (0..3_000_000_u64).fold(0_u64, |sum, n| std::hint::black_box(sum.wrapping_mul(31) ^ n)),
            );
            cpu_nanos(std::process::id()).unwrap() > before
        });
        assert!(grows);
        assert!(max_rss(std::process::id()).unwrap() > 100_000);
    }
}
