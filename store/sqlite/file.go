package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Reasons for which a file is not opened. Nothing in it was touched.
var (
	// ErrLocked: another process holds the store.
	ErrLocked = errors.New("another process has the store open")
	// ErrNewer: the file was written by a later version of the bridge.
	ErrNewer = errors.New("the store was written by a newer version")
	// ErrForeign: an SQLite file of another program.
	ErrForeign = errors.New("the file belongs to another program")
	// ErrCorrupt: no SQLite file, cut short, or damaged inside.
	ErrCorrupt = errors.New("the store is damaged")
)

// application marks our files ("DSBR"); the migrations write it.
const application = 0x44534252

// takeLock locks the file beside the store. The lock belongs to the open file,
// so it ends with the process however that dies.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the store
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ErrLocked
	}
	return nil, err
}

// preparePlace makes the folder and an empty private file where there is none.
// A file that exists loses the rights of others.
func preparePlace(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the store
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return f.Chmod(0o600)
	}
	return nil
}

// inspect reads the first page's header, before SQLite may change anything:
// even opening a file in WAL mode writes beside it. An empty file is new, but not
// beside a log that holds something: SQLite would empty that.
func inspect(path string, newest int64) error {
	f, err := os.Open(path) //nolint:gosec // the operator names the store
	if errors.Is(err, fs.ErrNotExist) && hasLog(path) {
		return fmt.Errorf("%w: it is not there, but its log %s-wal is", ErrCorrupt, filepath.Base(path))
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	header := make([]byte, 100)
	n, err := io.ReadFull(f, header)
	switch {
	case errors.Is(err, io.EOF) && hasLog(path):
		return fmt.Errorf("%w: it is empty, but its log %s-wal is not", ErrCorrupt, filepath.Base(path))
	case errors.Is(err, io.EOF):
		return nil
	}
	if err != nil || string(header[:16]) != "SQLite format 3\x00" {
		return fmt.Errorf("%w: %d bytes that are no SQLite header", ErrCorrupt, n)
	}
	if err := inspectLength(f, path, header); err != nil {
		return err
	}
	version := int64(binary.BigEndian.Uint32(header[60:]))
	owner := binary.BigEndian.Uint32(header[68:])
	return judge(version, owner, newest)
}

// hasLog reports whether commits may stand in the log beside a file.
func hasLog(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

// judge tells whether a schema is ours and not from the future. Version 0 is a
// file whose first migration has not reached the header yet.
func judge(version int64, owner uint32, newest int64) error {
	if owner != application && (owner != 0 || version != 0) {
		return ErrForeign
	}
	if version > newest {
		return fmt.Errorf("%w: schema %d, this version knows %d", ErrNewer, version, newest)
	}
	return nil
}

// inspectLength finds a file that was cut short. With a write-ahead log beside
// it the header's page count may run ahead of the file.
func inspectLength(f *os.File, path string, header []byte) error {
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	size := int64(binary.BigEndian.Uint16(header[16:]))
	if size == 1 {
		size = 65536
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if want := size * int64(binary.BigEndian.Uint32(header[28:])); info.Size() < want {
		return fmt.Errorf("%w: %d bytes long, its header says %d", ErrCorrupt, info.Size(), want)
	}
	return nil
}
