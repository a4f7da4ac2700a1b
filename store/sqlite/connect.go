package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"time"

	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql
var migrations embed.FS

// newestSchema is the version that the last migration leads to.
const newestSchema = 6

const (
	// pageSize holds seven events of 1 KB a page; 4096 would hold three and
	// leave a quarter of it empty.
	pageSize = 8192
	// busyTimeout bounds waiting for a foreign process that locks the file; our
	// own writer is alone.
	busyTimeout = 2 * time.Second
	// checkTime bounds the search for damage at start: a big file is checked
	// as far as it goes.
	checkTime = 2 * time.Second
	readers   = 4
)

// connector opens connections with every pragma set by hand. The driver takes
// some of them in its DSN, drops misspelt ones in silence and always sets
// synchronous to NORMAL, so nothing is left to it and all is read back.
type connector struct {
	path     string
	readOnly bool
	// copies leaves query_only off, which forbids VACUUM INTO as well.
	copies bool
}

func (c connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	d := &sqlite3.SQLiteDriver{ConnectHook: c.setUp}
	query := "_stmt_cache_size=96&_mutex=no&_txlock=immediate&mode=rw"
	if c.readOnly {
		query = "_stmt_cache_size=96&_mutex=no&_txlock=deferred&mode=ro"
	}
	return d.Open("file:" + (&url.URL{Path: c.path}).EscapedPath() + "?" + query)
}

func (c connector) setUp(conn *sqlite3.SQLiteConn) error {
	pragmas := [][2]string{
		{"busy_timeout", strconv.FormatInt(busyTimeout.Milliseconds(), 10)},
		{"synchronous", "2"}, // FULL: a commit is on disk when it returns
		{"temp_store", "2"},  // MEMORY: a scratch container has no /tmp
		{"foreign_keys", "0"},
		{"cache_size", "-4096"}, // KB, for each connection
	}
	if c.readOnly {
		// Most of what is read was just written, and lies in the kernel's cache.
		pragmas[len(pragmas)-1][1] = "-1024"
	}
	switch {
	case c.copies:
	case c.readOnly:
		pragmas = append(pragmas, [2]string{"query_only", "1"})
	default:
		// The page size counts only in a new file, and only before the log.
		if _, err := conn.Exec(fmt.Sprintf("PRAGMA page_size = %d", pageSize), nil); err != nil {
			return err
		}
		pragmas = append(pragmas, [2]string{"journal_mode", "wal"}, [2]string{"wal_autocheckpoint", "1000"},
			// What is deleted is overwritten, or a purge would leave it in free space.
			[2]string{"secure_delete", "1"},
			// A long read lets the log grow; it is cut once it can be begun anew.
			[2]string{"journal_size_limit", "16777216"})
	}
	for _, p := range pragmas {
		if _, err := conn.Exec("PRAGMA "+p[0]+" = "+p[1], nil); err != nil {
			return fmt.Errorf("set %s: %w", p[0], err)
		}
		if got, err := pragma(conn, p[0]); err != nil || got != p[1] {
			return fmt.Errorf("pragma %s is %q, not %s: %w", p[0], got, p[1], errors.Join(errPragma, err))
		}
	}
	return nil
}

var errPragma = errors.New("SQLite did not take a setting")

func pragma(conn *sqlite3.SQLiteConn, name string) (string, error) {
	rows, err := conn.Query("PRAGMA "+name, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close() //nolint:errcheck // read only
	value := make([]driver.Value, 1)
	if err := rows.Next(value); err != nil {
		return "", err
	}
	return fmt.Sprint(value[0]), nil
}

// open returns a pool. Foreign keys are off: every link is written by the one
// writer in the transaction that writes what it names, and retention deletes
// in slices that a constraint would forbid half-way.
func open(path string, readOnly bool) *sql.DB {
	db := sql.OpenDB(connector{path: path, readOnly: readOnly})
	n := 1
	if readOnly {
		n = readers
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db
}

// migrate brings the schema up to date.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(database.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// checkSchema judges the version that SQLite sees, which may be ahead of the
// file's header while a log lies beside it.
func checkSchema(ctx context.Context, db *sql.DB) (version int64, err error) {
	var owner int64
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&owner); err != nil {
		return 0, err
	}
	return version, judge(version, uint32(owner), newestSchema)
}

// check finds what may not be opened: another program's file, a later schema, damage.
func check(ctx context.Context, db *sql.DB) error {
	version, err := checkSchema(ctx, db)
	if err != nil {
		return err
	}
	if version == 0 { // new, or a first start that was cut short
		var foreign int
		err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema
			WHERE type = 'table' AND name NOT IN ('goose_db_version', 'sqlite_sequence')`).Scan(&foreign)
		if err != nil || foreign > 0 {
			return errors.Join(err, ErrForeign)
		}
	}
	return checkPages(ctx, db)
}

// checkPages looks for damage, for as long as checkTime.
func checkPages(ctx context.Context, db *sql.DB) error {
	limited, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var verdict string
	err := db.QueryRowContext(limited, "PRAGMA quick_check(1)").Scan(&verdict)
	switch {
	case limited.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case verdict != "ok":
		return fmt.Errorf("%w: %s", ErrCorrupt, verdict)
	}
	return nil
}

// isCorrupt reports whether SQLite found the file damaged.
func isCorrupt(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	return ok && (e.Code == sqlite3.ErrCorrupt || e.Code == sqlite3.ErrNotADB)
}
