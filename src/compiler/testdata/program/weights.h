#pragma once

namespace demo {

int weight(int at);

}  // namespace demo
