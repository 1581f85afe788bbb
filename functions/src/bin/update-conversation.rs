//! `PATCH /v1/conversations/{id}`
fn main() -> std::process::ExitCode {
    functions::serve(functions::conversations::update::ENDPOINT, functions::conversations::update::route())
}
