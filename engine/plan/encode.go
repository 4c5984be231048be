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

// Decode reads what Encode wrote. It returns ErrFormat or ErrDigest, wrapped,
// for a plan of another version or one that was changed.
func Decode(data []byte) (*Plan, error) {
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
	// A field that is not known would not be covered by the digest.
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(p); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("decode plan: %w", errors.New("something follows the plan"))
	}
	digest, err := digestOf(p)
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
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
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
