# Everything that aloft takes from elsewhere, found in one place. `./dev setup` installs or builds all of it.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)              # Boost::headers: Asio, Beast
find_package(OpenSSL 3 REQUIRED)               # OpenSSL::Crypto: SHA-256
find_package(spdlog REQUIRED)                  # spdlog::spdlog
find_package(nlohmann_json REQUIRED)           # nlohmann_json::nlohmann_json
find_package(ONNXRuntime REQUIRED)             # ONNXRuntime::onnxruntime
find_package(UPlot REQUIRED)                   # UPLOT_SCRIPT, UPLOT_STYLE: what the live page draws its curves by
if(ALOFT_BUILD_APPS)
  find_package(OpenCVModules REQUIRED COMPONENTS core imgproc imgcodecs videoio highgui)
endif()

find_package(PkgConfig REQUIRED)
pkg_check_modules(TurboJPEG REQUIRED IMPORTED_TARGET libturbojpeg)     # PkgConfig::TurboJPEG

if(ALOFT_DEVICE_ONLY)
  return()
endif()
find_package(GRPC REQUIRED)                    # GRPC::grpc++
find_package(CLI11 REQUIRED)                   # CLI11::CLI11
find_package(Wasmtime 48 REQUIRED)             # Wasmtime::wasmtime
find_package(Libclang REQUIRED)                # Libclang::libclang
pkg_check_modules(SQLite3 REQUIRED IMPORTED_TARGET sqlite3)            # PkgConfig::SQLite3
pkg_check_modules(Avahi REQUIRED IMPORTED_TARGET avahi-client)         # PkgConfig::Avahi
pkg_check_modules(Curl REQUIRED IMPORTED_TARGET libcurl)               # PkgConfig::Curl
pkg_check_modules(Seccomp REQUIRED IMPORTED_TARGET libseccomp)         # PkgConfig::Seccomp
pkg_check_modules(Tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)  # PkgConfig::Tomlplusplus
pkg_check_modules(Prometheus REQUIRED IMPORTED_TARGET prometheus-cpp-core)  # PkgConfig::Prometheus
if(ALOFT_BUILD_TESTS)
  find_package(Eigen3 3.4 REQUIRED)            # Eigen3::Eigen: modules that use a library of headers
endif()
