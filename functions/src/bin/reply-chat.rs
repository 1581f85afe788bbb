//! `POST /v1/chat`
fn main() -> std::process::ExitCode {
    functions::serve(functions::chat::reply::ENDPOINT, functions::chat::reply::route())
}
