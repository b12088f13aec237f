#include "function/protocol.h"

#include <string_view>
#include <type_traits>
#include <utility>

#include "function/fields.h"
#include <aloft/codec/writer.h>

namespace aloft::function {
namespace {

// --- Writing
// -----------------------------------------------------------------------------------------------------

class HeadWriter {
 public:
  // A map of `fields` fields, the type included.
  HeadWriter(std::string_view type, std::size_t fields) {
    writer_.map(fields);
    put("t", type);
  }

  void put(std::string_view name, std::string_view text) {
    writer_.string(name);
    string(text);
  }
  void put(std::string_view name, std::uint64_t number) {
    writer_.string(name);
    writer_.unsigned_integer(number);
  }
  void put_flag(std::string_view name, bool flag) {
    writer_.string(name);
    writer_.boolean(flag);
  }
  void put(std::string_view name, const Error& error) {
    writer_.string(name);
    writer_.map(2);
    put("code", static_cast<std::uint64_t>(error.code));
    put("message", cut(error.message, kMaxText));
  }
  // Elements follow, each by one of the functions below or by map().
  void list(std::string_view name, std::size_t count) {
    writer_.string(name);
    writer_.array(count);
  }
  void map(std::size_t fields) { writer_.map(fields); }
  void element(std::uint32_t number) { writer_.unsigned_integer(number); }
  void element(std::string_view text) { string(text); }

  std::vector<std::byte> take() {
    std::vector<std::byte> head;
    head.reserve(writer_.size());
    for (const auto segment : writer_.segments())
      head.insert(head.end(), segment.begin(), segment.end());
    return head;
  }

 private:
  // Long texts are borrowed until take(): they live as long as the message that is being encoded.
  void string(std::string_view text) { writer_.string(text); }

  codec::Writer writer_;
};

std::vector<std::byte> write(const OpenModule& message) {
  HeadWriter out("open_module", message.objects.empty() ? 8 : 9);
  out.put("module_id", message.module_id);
  out.put("name", message.name);
  out.put("digest", message.digest);
  out.list("functions", message.functions.size());
  for (const OpenModule::Function& function : message.functions) {
    out.map(2);
    out.put("export_name", function.export_name);
    out.put("signature_hash", function.signature_hash);
  }
  if (!message.objects.empty()) {
    out.list("objects", message.objects.size());
    for (const OpenModule::Object& object : message.objects) {
      out.map(2);
      out.put("name", object.name);
      out.put("state_hash", object.state_hash);
    }
  }
  out.list("models", message.models.size());
  for (const OpenModule::Model& model : message.models) {
    out.map(3);
    out.put("name", model.name);
    out.put("sha256", model.sha256);
    out.put("size", model.size);
  }
  out.put("concurrency", message.concurrency);
  out.put("argument_bytes", message.argument_bytes);
  return out.take();
}

std::vector<std::byte> write(const CloseModule& message) {
  HeadWriter out("close_module", 2);
  out.put("module_id", message.module_id);
  return out.take();
}

std::vector<std::byte> write(const NeedCapacity& message) {
  HeadWriter out("need_capacity", 3);
  out.put("module_id", message.module_id);
  out.put("bytes", message.bytes);
  return out.take();
}

std::vector<std::byte> write(const Call& message) {
  HeadWriter out("call", message.pictures.empty() ? 6 : 8);
  out.put("call_id", message.call_id);
  out.put("module_id", message.module_id);
  out.put("function", message.function);
  out.put("deadline_us", message.deadline_us);
  out.put_flag("digest_tensors", message.digest_tensors);
  if (!message.pictures.empty()) {
    out.put("argument_bytes", message.argument_bytes);
    out.list("pictures", message.pictures.size());
    for (const Call::Picture& picture : message.pictures) {
      out.map(6);
      out.put("codec", picture.codec);
      out.put("at", picture.at);
      out.put("size", picture.size);
      out.put("width", picture.width);
      out.put("height", picture.height);
      out.put("format", picture.format);
    }
  }
  return out.take();
}

std::vector<std::byte> write(const CancelCall& message) {
  HeadWriter out("cancel_call", 2);
  out.put("call_id", message.call_id);
  return out.take();
}

std::vector<std::byte> write(const ModelBytes& message) {
  HeadWriter out("model_bytes", 2);
  out.put("sha256", message.sha256);
  return out.take();
}

std::vector<std::byte> write(const ModelWanted& message) {
  HeadWriter out("model_wanted", 4);
  out.put("module_id", message.module_id);
  out.put("sha256", message.sha256);
  out.put("stream", message.stream);
  return out.take();
}

std::vector<std::byte> write(const ModuleOpened& message) {
  HeadWriter out("module_opened", message.instances == 0 ? 5 : 6);
  out.put("module_id", message.module_id);
  out.list("call_streams", message.call_streams.size());
  for (const std::uint32_t stream : message.call_streams) out.element(stream);
  out.put("engine", message.engine);
  out.put("inference", message.inference);
  if (message.instances != 0) out.put("instances", message.instances);
  return out.take();
}

std::vector<std::byte> write(const ModuleRefused& message) {
  HeadWriter out("module_refused", 3);
  out.put("module_id", message.module_id);
  out.put("why", message.why);
  return out.take();
}

std::vector<std::byte> write(const Return& message) {
  const std::size_t optional_fields =
      (message.error ? 1U : 0U) + (message.trap_backtrace.empty() ? 0U : 1U) +
      (message.decode_us == 0 ? 0U : 1U) + (message.tensor_digests.empty() ? 0U : 1U);
  HeadWriter out("return", 5 + optional_fields);
  out.put("call_id", message.call_id);
  if (message.error) out.put("error", *message.error);
  if (!message.trap_backtrace.empty())
    out.put("trap_backtrace", cut(message.trap_backtrace, 2 * kMaxText));
  out.put("queue_us", message.queue_us);
  out.put("run_us", message.run_us);
  out.put("inference_us", message.inference_us);
  if (message.decode_us != 0) out.put("decode_us", message.decode_us);
  if (!message.tensor_digests.empty()) {
    out.list("tensor_digests", message.tensor_digests.size());
    for (const std::string& digest : message.tensor_digests) out.element(digest);
  }
  return out.take();
}

std::vector<std::byte> write(const GuestLog& message) {
  HeadWriter out("guest_log", 4);
  out.put("call_id", message.call_id);
  out.put_flag("is_error", message.is_error);
  out.put("line", cut(message.line, 2 * kMaxText));
  return out.take();
}

// --- Reading
// -----------------------------------------------------------------------------------------------------

// A list of maps, each read by `read(FieldReader&, element)`.
template <class Element, class Read>
void get(FieldReader& in, std::string_view name, std::vector<Element>& elements, Read read) {
  std::vector<std::span<const std::byte>> maps;
  in.get(name, maps);
  for (const auto map : maps) {
    if (!in.ok()) return;
    FieldReader fields(map, name);
    read(fields, elements.emplace_back());
    if (!fields.ok()) in.adopt(fields);
  }
}

void read(FieldReader& in, OpenModule& message) {
  in.get("module_id", message.module_id);
  in.get("name", message.name);
  in.get("digest", message.digest);
  get(in, "functions", message.functions, [](FieldReader& fields, OpenModule::Function& function) {
    fields.get("export_name", function.export_name);
    fields.get("signature_hash", function.signature_hash);
  });
  if (in.has("objects")) {
    get(in, "objects", message.objects, [](FieldReader& fields, OpenModule::Object& object) {
      fields.get("name", object.name);
      fields.get("state_hash", object.state_hash);
    });
  }
  get(in, "models", message.models, [](FieldReader& fields, OpenModule::Model& model) {
    fields.get("name", model.name);
    fields.get("sha256", model.sha256);
    fields.get("size", model.size);
  });
  in.get("concurrency", message.concurrency);
  in.get("argument_bytes", message.argument_bytes);
}

void read(FieldReader& in, CloseModule& message) { in.get("module_id", message.module_id); }

void read(FieldReader& in, NeedCapacity& message) {
  in.get("module_id", message.module_id);
  in.get("bytes", message.bytes);
}

void read(FieldReader& in, Call& message) {
  in.get("call_id", message.call_id);
  in.get("module_id", message.module_id);
  in.get("function", message.function);
  in.get("deadline_us", message.deadline_us);
  in.get("digest_tensors", message.digest_tensors);
  if (!in.has("pictures")) return;
  in.get("argument_bytes", message.argument_bytes);
  get(in, "pictures", message.pictures, [](FieldReader& fields, Call::Picture& picture) {
    fields.get("codec", picture.codec);
    fields.get("at", picture.at);
    fields.get("size", picture.size);
    fields.get("width", picture.width);
    fields.get("height", picture.height);
    fields.get("format", picture.format);
  });
}

void read(FieldReader& in, CancelCall& message) { in.get("call_id", message.call_id); }

void read(FieldReader& in, ModelBytes& message) { in.get("sha256", message.sha256); }

void read(FieldReader& in, ModelWanted& message) {
  in.get("module_id", message.module_id);
  in.get("sha256", message.sha256);
  in.get("stream", message.stream);
}

void read(FieldReader& in, ModuleOpened& message) {
  in.get("module_id", message.module_id);
  in.get("call_streams", message.call_streams);
  in.get("engine", message.engine);
  in.get("inference", message.inference);
  if (in.has("instances")) in.get("instances", message.instances);
}

void read(FieldReader& in, ModuleRefused& message) {
  in.get("module_id", message.module_id);
  in.get("why", message.why);
}

void read(FieldReader& in, Return& message) {
  in.get("call_id", message.call_id);
  if (in.has("error")) in.get("error", message.error.emplace());
  if (in.has("trap_backtrace")) in.get("trap_backtrace", message.trap_backtrace);
  in.get("queue_us", message.queue_us);
  in.get("run_us", message.run_us);
  in.get("inference_us", message.inference_us);
  if (in.has("decode_us")) in.get("decode_us", message.decode_us);
  if (in.has("tensor_digests")) in.get("tensor_digests", message.tensor_digests);
}

void read(FieldReader& in, GuestLog& message) {
  in.get("call_id", message.call_id);
  in.get("is_error", message.is_error);
  in.get("line", message.line);
}

template <class T>
Result<Message> read_as(FieldReader& in) {
  T message;
  read(in, message);
  if (!in.ok()) return std::unexpected(in.error());
  return Message(std::move(message));
}

struct Kind {
  std::string_view type;
  Result<Message> (*read)(FieldReader&);
};

constexpr Kind kKinds[] = {
    {"call", read_as<Call>},
    {"return", read_as<Return>},
    {"open_module", read_as<OpenModule>},
    {"close_module", read_as<CloseModule>},
    {"need_capacity", read_as<NeedCapacity>},
    {"cancel_call", read_as<CancelCall>},
    {"model_bytes", read_as<ModelBytes>},
    {"model_wanted", read_as<ModelWanted>},
    {"module_opened", read_as<ModuleOpened>},
    {"module_refused", read_as<ModuleRefused>},
    {"guest_log", read_as<GuestLog>},
};
static_assert(std::size(kKinds) == std::variant_size_v<Message>);

}  // namespace

std::vector<std::byte> encode(const Message& message) {
  return std::visit([](const auto& alternative) { return write(alternative); }, message);
}

Result<Message> decode(std::span<const std::byte> head) {
  FieldReader in(head, "message");
  std::string_view type;
  in.get("t", type);
  if (!in.ok()) return std::unexpected(in.error());
  for (const Kind& kind : kKinds) {
    if (kind.type != type) continue;
    in.rename(kind.type);
    return kind.read(in);
  }
  return fail(Errc::protocol, "message of an unknown type '" + std::string(cut(type, 64)) + "'");
}

}  // namespace aloft::function
