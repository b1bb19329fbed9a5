#include "model/command.hpp"

#include <algorithm>

namespace model {

std::string to_string(const command& c) {
  std::string text = "{verb::" + std::string(verb_names[static_cast<std::size_t>(c.what)]);
  const bool hosted = c.when != moment::now;
  const std::int64_t numbers[] = {c.who, c.a, c.b, c.c, c.d};
  std::size_t count = 5;
  while (!hosted && count > 0 && numbers[count - 1] == 0) --count;
  for (std::size_t i = 0; i < count; ++i) {
    text += numbers[i] == absent ? ", absent" : ", " + std::to_string(numbers[i]);
  }
  if (hosted) {
    text += ", moment::" + std::string(moment_names[static_cast<std::size_t>(c.when)]) + ", " +
            std::to_string(c.host);
  }
  return text + "}";
}

std::string to_string(const program& p) {
  std::string text = "{\n";
  for (const auto& c : p) text += "    " + to_string(c) + ",\n";
  return text + "}";
}

}  // namespace model
