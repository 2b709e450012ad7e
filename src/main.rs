//! Two mains: in the browser the page is mounted, natively the command line runs.

/// A trace is many small packets and one long list.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    vethscope::cli::run()
}

#[cfg(target_arch = "wasm32")]
fn main() {
    vethscope::ui::mount();
}
