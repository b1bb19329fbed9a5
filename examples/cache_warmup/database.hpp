// The database of the demo: one table of products in SQLite.
#ifndef CACHE_WARMUP_DATABASE_HPP
#define CACHE_WARMUP_DATABASE_HPP

#include <sqlite3.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace cache_warmup {

struct database_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Is what one refresh loads: the rows, already as JSON, and how many there are.
struct product_list {
  std::string json;
  int count = 0;
};

class database {
 public:
  /// Opens the database, and fills it if it is new; throws database_error.
  explicit database(const std::string& path) : path_(path) {
    sqlite3* opened = nullptr;
    const int result =
        sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    connection_.reset(opened);  // to be closed even if the opening failed
    check(result);
    // A writer's short lock is waited for. More would hold up the server, which shares the thread.
    check(sqlite3_busy_timeout(opened, 50));
    if (is_new()) {
      fill();
    }
  }

  /// Reads all rows; throws database_error. SQLite itself writes the JSON, so the escapes are
  /// right.
  [[nodiscard]] product_list load_products() const {
    const auto query = prepare(
        "SELECT count(*), json_group_array(json_object("
        "'id', id, 'name', name, 'price_cents', price_cents, 'stock', stock)) "
        "FROM (SELECT * FROM products ORDER BY id)");
    check(sqlite3_step(query.get()));
    return {text_of(query.get(), 1), sqlite3_column_int(query.get(), 0)};
  }

 private:
  struct closer {
    void operator()(sqlite3* connection) const { sqlite3_close(connection); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using statement = std::unique_ptr<sqlite3_stmt, closer>;

  static std::string text_of(sqlite3_stmt* row, int column) {
    const void* bytes = sqlite3_column_blob(row, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(row, column));
    return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
  }

  void check(int result) const {
    if (result == SQLITE_OK || result == SQLITE_ROW || result == SQLITE_DONE) {
      return;
    }
    throw database_error("database '" + path_ + "': " +
                         (connection_ ? sqlite3_errmsg(connection_.get()) : "out of memory"));
  }

  [[nodiscard]] statement prepare(const char* sql) const {
    sqlite3_stmt* prepared = nullptr;
    check(sqlite3_prepare_v2(connection_.get(), sql, -1, &prepared, nullptr));
    return statement(prepared);
  }

  /// Tells whether there is nothing at all in it: somebody's own database is left as it is.
  [[nodiscard]] bool is_new() const {
    const auto query = prepare("SELECT count(*) FROM sqlite_schema");
    check(sqlite3_step(query.get()));
    return sqlite3_column_int(query.get(), 0) == 0;
  }

  void fill() const {
    check(sqlite3_exec(connection_.get(),
                       "BEGIN IMMEDIATE;"
                       "CREATE TABLE IF NOT EXISTS products ("
                       "  id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                       "  price_cents INTEGER NOT NULL, stock INTEGER NOT NULL);"
                       "INSERT OR IGNORE INTO products VALUES"
                       "  (1, 'Espresso', 220, 100), (2, 'Cappuccino', 340, 60),"
                       "  (3, 'Earl Grey', 280, 45), (4, 'Carrot cake', 410, 12);"
                       "COMMIT;",
                       nullptr, nullptr, nullptr));
  }

  std::string path_;
  std::unique_ptr<sqlite3, closer> connection_;
};

}  // namespace cache_warmup

#endif  // CACHE_WARMUP_DATABASE_HPP
