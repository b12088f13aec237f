// What goes wrong in a simulation: connections that are lost and made anew, processes that die.
#include <algorithm>
#include <utility>

#include "world.h"

namespace aloft::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

void World::connect(PlaceIndex place, Duration delay) {
  if (std::exchange(links_[place].connecting, true)) return;
  agenda_.after(delay, [this, place] {
    Link& link = links_[place];
    link.connecting = false;
    if (!link.network || !sites_[place].running()) {
      connect(place, random_.between(milliseconds(5), milliseconds(200)));
      return;
    }
    link.connection = std::make_shared<Connection>();
    link.connection->place = place;
    // The module has to be opened before it is of use.
    agenda_.after(random_.skewed(milliseconds(1), milliseconds(30)),
                  [this, place, connection = link.connection] {
                    if (links_[place].connection == connection) connected(place);
                  });
  });
}

void World::connected(PlaceIndex place) {
  Link& link = links_[place];
  if (link.connection->dead != std::array<bool, 2>{}) return;  // and soon seen to be
  link.up = true;
  link.attached.clear();
  trace_.note(agenda_.now(), "device: up=", place);
  with_fixed_end([&] { fixed_->place_up(place, agenda_.now()); });
}

void World::connection_seen_lost(PlaceIndex place, const ConnectionPointer& connection) {
  Link& link = links_[place];
  connection->open[static_cast<std::size_t>(Connection::Toward::device)] = false;
  if (link.connection != connection) return;
  link.connection = nullptr;
  link.attached.clear();
  connect(place, random_.skewed(milliseconds(1), milliseconds(300)));
  if (!std::exchange(link.up, false)) return;
  trace_.note(agenda_.now(), "device: down=", place);
  if (place == fixed_->home()) {
    steady_ = false;
    home_in_trouble_ = true;
  }
  with_fixed_end([&] { fixed_->place_down(place, agenda_.now()); });
}

void World::cut(PlaceIndex place, Duration device_sees, Duration place_sees) {
  const ConnectionPointer connection = links_[place].connection;
  if (connection == nullptr || connection->dead != std::array<bool, 2>{}) return;
  contract_.fault(place, agenda_.now());
  ++seen_.faults;
  // A half-open connection still carries what goes in one direction, until both have seen it.
  const std::uint64_t drawn = random_.below(4);
  connection->dead = {drawn != 0, drawn != 1};
  agenda_.after(device_sees, [this, place, connection] {
    connection->dead = {true, true};
    contract_.fault(place, agenda_.now());
    connection_seen_lost(place, connection);
  });
  agenda_.after(place_sees, [this, place, connection] {
    connection->open[static_cast<std::size_t>(Connection::Toward::place)] = false;
    sites_[place].lost(connection);
  });
}

void World::fault_step() {
  if (healed_) return;
  agenda_.after(random_.between(Duration(0), scenario_.fault_gap), [this] { fault_step(); });
  // Mostly where it hurts.
  const PlaceIndex home = fixed_->home();
  auto place = static_cast<PlaceIndex>(random_.between(1, scenario_.edges));
  if (home != channel::kHere && random_.chance(500)) place = home;
  const Duration soon = random_.skewed(Duration(0), milliseconds(50));
  const Duration late = random_.between(milliseconds(50), milliseconds(300));
  Link& link = links_[place];
  const std::uint64_t drawn = random_.below(100);
  trace_.note(agenda_.now(), "fault, place= kind=", place, drawn);
  if (drawn < 25) {  // the connection is lost
    cut(place, soon, random_.chance(500) ? soon : late);
  } else if (drawn < 45) {  // it is half open
    cut(place, late, random_.between(milliseconds(0), milliseconds(300)));
  } else if (drawn < 60) {  // the network is split
    link.network = false;
    cut(place, late, late);
    agenda_.after(random_.skewed(milliseconds(10), seconds(4)),
                  [this, place] { links_[place].network = true; });
  } else if (drawn < 70) {  // the device has another address: it knows, the place does not
    cut(place, Duration(0), late);
  } else if (drawn < 85) {  // the process dies
    cut(place, random_.chance(700) ? soon : late, Duration(0));
    sites_[place].crash();
    agenda_.after(random_.skewed(milliseconds(20), seconds(3)),
                  [this, place] { sites_[place].restart(); });
  } else {
    sites_[place].become_slow(agenda_.now() + random_.skewed(milliseconds(10), seconds(1)));
  }
}

// Just when something was sent or has come: the moments between two steps are short, and the
// faults of fault_step() seldom meet them.
void World::strike(PlaceIndex place) {
  if (place == channel::kHere || !random_.chance(scenario_.rates.strike)) return;
  const Duration delay = random_.skewed(Duration(0), scenario_.delay * 2);
  const bool dies = random_.chance(300);
  const Duration device_sees = random_.skewed(Duration(0), milliseconds(200));
  const Duration place_sees = random_.skewed(Duration(0), milliseconds(200));
  agenda_.after(delay, [this, place, dies, device_sees, place_sees] {
    if (healed_) return;
    trace_.note(agenda_.now(), "strike, place= dies=", place, dies);
    cut(place, device_sees, dies ? Duration(0) : place_sees);
    if (!dies) return;
    sites_[place].crash();
    agenda_.after(random_.skewed(milliseconds(20), seconds(3)),
                  [this, place] { sites_[place].restart(); });
  });
}

void World::heal() {
  healed_ = true;
  trace_.note(agenda_.now(), "all faults are healed");
  const std::uint64_t kills = scenario_.rates.trap_kills;
  scenario_.rates = {};
  scenario_.rates.trap_kills = kills;  // of what was sent before
  for (PlaceIndex place = 1; place < links_.size(); ++place) {
    links_[place].network = true;
    sites_[place].restart();
    sites_[place].become_slow(agenda_.now());
  }
}

}  // namespace aloft::sim
