//! What `sam build` makes of two functions, the least and the greatest.

use crate::support::setup;

/// The most bytes of a function's zip.
const ZIP_BYTES: u64 = 4_500_000;

#[test]
fn functions_are_small_stripped_and_for_lambdas_libraries() {
    let built = &setup().all["builtForAws"];
    let Some(built) = built.as_object() else {
        eprintln!("SKIPPED: only a run of all tests builds for AWS (`cargo xtask sam-build` does it alone)");
        return;
    };
    assert!(built.contains_key("health") && built.contains_key("reply-chat"), "{built:?}");
    for (name, it) in built {
        let here = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        assert_eq!((&it["machine"], &it["stripped"]), (&here.into(), &true.into()), "{name}: {it}");
        // That of provided.al2023 is 2.34.
        assert!(it["glibc"].as_u64().is_some_and(|glibc| (17..=34).contains(&glibc)), "{name}: {it}");
        assert!(it["zip"].as_u64().is_some_and(|zip| zip <= ZIP_BYTES), "{name}: {it}");
        // Neither is a stub.
        assert!(it["bytes"].as_u64().is_some_and(|bytes| bytes > 2_000_000), "{name}: {it}");
    }
    assert!(built["health"]["zip"].as_u64() < built["reply-chat"]["zip"].as_u64());
}
