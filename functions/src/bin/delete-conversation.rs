//! `DELETE /v1/conversations/{id}`
fn main() -> std::process::ExitCode {
    functions::serve(functions::conversations::delete::ENDPOINT, functions::conversations::delete::route())
}
