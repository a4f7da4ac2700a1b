package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	osuser "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/gofiber/fiber/v2"
)

// LocalPrefix marks the names of users of this machine, who need no account.
const LocalPrefix = "local:"

// user is a person, known by the SHA-256 of a token.
type user struct {
	name   string
	digest [sha256.Size]byte
	roles  []string
}

func configured(u User) user {
	out := user{name: u.Name, roles: u.Roles}
	digest, err := hex.DecodeString(u.TokenSHA256)
	if err != nil || copy(out.digest[:], digest) != sha256.Size {
		out.roles = nil // a digest that cannot be met; Validate has said so
	}
	return out
}

func local(token string) user {
	return user{LocalName(), sha256.Sum256([]byte(token)), roles}
}

// LocalName is who acts with the generated token, or on the store's file
// itself: "local:" and the name of the operating system's user, or its number
// where the machine's list of users has no name for it.
func LocalName() string {
	u, err := osuser.Current()
	if err != nil {
		return LocalPrefix + strconv.Itoa(os.Getuid())
	}
	users, _ := os.ReadFile("/etc/passwd") // without it, it lists nobody
	return LocalPrefix + listedName(*u, string(users))
}

// listedName is a user's name, if the list of users has it. Where it does not,
// package os/user believes $USER: then one person could approve as two.
func listedName(u osuser.User, users string) string {
	for line := range strings.Lines(users) {
		fields := strings.Split(line, ":")
		if len(fields) > 2 && fields[0] == u.Username && fields[2] == u.Uid && u.Username != "" {
			return u.Username
		}
	}
	if u.Username != os.Getenv("USER") && u.Username != "" {
		return u.Username // of a directory of users that the system has looked in
	}
	return u.Uid
}

// open are the paths without a token: they tell machines whether the bridge is
// well, and nothing about anybody's business.
var open = []string{"/healthz", "/readyz", "/metrics"}

// authenticate lets a request pass if it bears a user's token. What the user
// may do is for each address to say.
func (s *Server) authenticate(c *fiber.Ctx) error {
	if slices.Contains(open, c.Path()) {
		return c.Next()
	}
	u := s.user(c.Get(fiber.HeaderAuthorization))
	if u == nil {
		c.Set(fiber.HeaderWWWAuthenticate, `Bearer realm="datasync-bridge"`)
		return problem(fiber.StatusUnauthorized, "unauthorized", "a valid bearer token is needed")
	}
	c.Locals(userKey, u)
	return c.Next()
}

// may lets a request pass if its user has a role.
func may(role string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if u, ok := c.Locals(userKey).(*user); !ok || !slices.Contains(u.roles, role) {
			return problem(fiber.StatusForbidden, "forbidden", fmt.Sprintf("%s lacks the role %q", caller(c), role))
		}
		return c.Next()
	}
}

// caller is the authenticated name, "" for nobody.
func caller(c *fiber.Ctx) string {
	if u, ok := c.Locals(userKey).(*user); ok {
		return u.name
	}
	return ""
}

// user finds whose token a header carries. Digests are compared, all of them
// and in constant time, so that timing tells nothing about any token.
func (s *Server) user(header string) *user {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") || token == "" {
		return nil
	}
	digest := sha256.Sum256([]byte(token))
	var found *user
	for i := range s.users {
		if subtle.ConstantTimeCompare(digest[:], s.users[i].digest[:]) == 1 {
			found = &s.users[i]
		}
	}
	return found
}

// tokenLength is how long the token is that localToken writes: 256 random bits in hex.
const tokenLength = 64

// localToken reads the token in the file, or makes a new one. A file that
// others can read or have made is not trusted: its token is replaced.
func localToken(path string) (string, error) {
	if path == "" {
		return "", errors.New("no users are configured and no token file is named")
	}
	token, err := readToken(path)
	if err == nil || !errors.Is(err, errRenew) {
		return token, err
	}
	random := make([]byte, tokenLength/2)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	token = hex.EncodeToString(random)
	return token, writeToken(path, token)
}

var errRenew = errors.New("needs a new token")

func readToken(path string) (string, error) {
	f, err := os.Open(path) // #nosec G304 -- a path beside the configured store
	if errors.Is(err, fs.ErrNotExist) {
		return "", errRenew
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // read only: nothing to lose
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !trusted(info, os.Geteuid()) {
		return "", errRenew
	}
	text, err := io.ReadAll(io.LimitReader(f, 2*tokenLength))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if !hexDigest.MatchString(token) {
		return "", errRenew
	}
	return token, nil
}

// trusted reports whether nobody but a user can have written or read a file:
// whoever laid one there beforehand would know the token.
func trusted(info fs.FileInfo, uid int) bool {
	owned, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(owned.Uid) == uid && info.Mode().IsRegular() && info.Mode().Perm()&0o077 == 0
}

// writeToken replaces the file in one step; CreateTemp gives it mode 0600.
func writeToken(path, token string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".token-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the error that counts is err
		}
	}()
	_, err = f.WriteString(token + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
