//! Two mains: in the browser the page is mounted, natively the command line runs.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    vethscope::cli::run()
}

#[cfg(target_arch = "wasm32")]
fn main() {
    vethscope::ui::mount();
}
