package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Errors of Decode.
var (
	ErrFormat = errors.New("the plan has another format version")
	ErrDigest = errors.New("the plan does not match its digest: it was changed after it was made")
)

// Encode sets p's format version and digest and returns its canonical JSON: one
// line with a newline, object keys of maps sorted, no HTML escapes.
func Encode(p *Plan) ([]byte, error) {
	p.FormatVersion = FormatVersion
	digest, err := digestOf(p)
	if err != nil {
		return nil, err
	}
	p.Digest = digest
	return canonical(p)
}

// Decode reads what Encode wrote, for who executes or compares the plan. It
// returns ErrFormat or ErrDigest, wrapped, for a plan of another format or one
// that was changed. A field that this program does not know is an error: what it
// means would be left out.
func Decode(data []byte) (*Plan, error) { return decode(data, true) }

// DecodeRunning is Decode for verbs that need little of the plan of a machine that
// runs, and that another version of this program may have started: fields that
// are not known are left out, those that the other version did not have are
// empty.
func DecodeRunning(data []byte) (*Plan, error) { return decode(data, false) }

func decode(data []byte, known bool) (*Plan, error) {
	var head struct {
		FormatVersion string `json:"format_version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	if head.FormatVersion != FormatVersion {
		return nil, fmt.Errorf("%w: it is %q, this program reads %q", ErrFormat, head.FormatVersion, FormatVersion)
	}
	p := new(Plan)
	decoder := json.NewDecoder(bytes.NewReader(data))
	if known {
		decoder.DisallowUnknownFields()
	}
	if err := decoder.Decode(p); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("decode plan: %w", errors.New("something follows the plan"))
	}
	digest, err := digestOfText(data, p.Digest)
	if err != nil {
		return nil, err
	}
	if digest != p.Digest {
		return nil, fmt.Errorf("%w: it says %s, its content is %s", ErrDigest, p.Digest, digest)
	}
	return p, nil
}

func digestOf(p *Plan) (string, error) {
	undigested := *p
	undigested.Digest = ""
	data, err := canonical(&undigested)
	if err != nil {
		return "", err
	}
	return digestOfCanonical(data), nil
}

// digestOfText is the digest of a plan that has been written with the digest
// given: of what stands there, which a version with other fields would write
// otherwise. Blanks between the values do not count.
func digestOfText(data []byte, digest string) (string, error) {
	var text bytes.Buffer
	if err := json.Compact(&text, data); err != nil {
		return "", fmt.Errorf("decode plan: %w", err)
	}
	text.WriteByte('\n')
	const key = `"digest":"` // the plan's own is the first: a quote within a value is escaped
	return digestOfCanonical(bytes.Replace(text.Bytes(), []byte(key+digest+`"`), []byte(key+`"`), 1)), nil
}

func digestOfCanonical(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func canonical(p *Plan) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p); err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	return out.Bytes(), nil
}
