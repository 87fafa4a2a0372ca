#include "tools/rowcall/main.hpp"

int main(int argc, char** argv) { return rowcall::tools::run_main(argc, argv, rowcall::engine::standard_modules()); }
